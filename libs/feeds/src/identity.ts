/** Spelling of a column or key that doesn't count: case, full-width forms, spaces, separators, a hint in brackets, a leading `*`. */
export const normalName = (name: string): string =>
  name
    .normalize('NFKC')
    .toLowerCase()
    .replace(/[(\[【].*?[)\]】]/g, '')
    .replace(/[\s_\-.*::/、]/g, '');

const PERSON =
  '(?:full|first|last|given|middle|family|maiden|patients?|persons?|childs?|victims?|injured|guardians?|parents?|mothers?|fathers?|contacts?|real)*';
const ENGLISH = new RegExp(
  `^(?:${PERSON}names?|surname|forename|${PERSON}(?:id|identity|idcard|citizenid|nationalid|residentid|passport|ssn|socialsecurity|nric)(?:number|no|num|code|card|cardno|cardnumber)` +
    `|idcard|passport|ssn|nationalid|citizenid|${PERSON}(?:tele)?(?:phone|mobile|cellphone|mobilephone|tel|telephone)(?:number|no)?|contactnumber` +
    `|(?:home|street|exact|residential|postal|mailing|current|permanent|living)*address(?:line)?\\d?|e?mail(?:address)?|wechat(?:id)?)$`,
);
const CHINESE = /姓名|名字|身份证|证件号|护照|电话|手机|联系方式|联系人|住址|地址|门牌|邮箱|微信/;

/** Names seen, to the verdict: a stream of events asks about the same few dozen, and asking costs a microsecond. */
const seen = new Map<string, boolean>();
const REMEMBERED = 5_000;

/**
 * Whether a column or key is one that identities stand in: name, id number, phone, exact address. By its name alone. There is no
 * field for them yet, and an event can't be unwritten, so that the whole file or event is refused.
 */
export const isIdentityName = (name: string): boolean => {
  const known = seen.get(name);
  if (known !== undefined) return known;
  // Stripping brackets is quadratic in a hostile name; no word for an identity is that long.
  const verdict = ENGLISH.test(normalName(name.slice(0, 100))) || CHINESE.test(name.normalize('NFKC'));
  if (seen.size < REMEMBERED && name.length < 100) seen.set(name, verdict);
  return verdict;
};
