export type Language = 'zh' | 'en';

/** VIGIL_LANG, else what POSIX says the locale is: LC_ALL, LC_MESSAGES, LANG; the first that is set decides. */
export const languageOf = (env: Readonly<Record<string, string | undefined>>): Language => {
  const set = [env['VIGIL_LANG'], env['LC_ALL'], env['LC_MESSAGES'], env['LANG']].find((value) => value?.trim());
  return /^zh/i.test(set?.trim() ?? '') ? 'zh' : 'en';
};

let chosen: Language | undefined;
/** Of this process. */
export const language = (): Language => (chosen ??= languageOf(process.env));

/** The sentence in the language of this process. */
export const say = (zh: string, en: string): string => (language() === 'zh' ? zh : en);

const number = new Intl.NumberFormat('en-US');
/** 12,345 */
export const count = (n: number): string => number.format(n);
