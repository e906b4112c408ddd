import { nearest, type Problem } from '@vigil/vocabulary';
import type { OuItem } from '../query/query';

export interface Community {
  readonly code: string;
  readonly parent: string | null;
  readonly groups: readonly string[];
}

/** One row's place: a label and the communities whose injuries and people it holds. */
export interface OuTarget {
  readonly ou: string;
  /** Every community inside, itself included. */
  readonly members: readonly string[];
  /** The topmost ones, which nobody's parent is among the members. */
  readonly tops: readonly string[];
}

export interface CommunityTree {
  readonly byCode: ReadonlyMap<string, Community>;
  readonly children: (code: string) => readonly string[];
  /** Itself and all below it. */
  readonly within: (code: string) => readonly string[];
}

export const communityTree = (communities: readonly Community[]): CommunityTree => {
  const byCode = new Map(communities.map((community) => [community.code, community]));
  const below = new Map<string, string[]>();
  for (const { code, parent } of communities) if (parent !== null) below.set(parent, [...(below.get(parent) ?? []), code]);
  const within = (code: string): string[] => {
    const found = new Set([code]);
    // A set iterates what is added on the way; a loop of parents ends where it began.
    for (const each of found) for (const child of below.get(each) ?? []) found.add(child);
    return [...found];
  };
  return { byCode, children: (code) => below.get(code) ?? [], within };
};

const levelOf = (tree: CommunityTree, code: string): number => {
  let level = 1;
  const seen = new Set([code]);
  for (
    let parent = tree.byCode.get(code)?.parent;
    parent && tree.byCode.has(parent) && !seen.has(parent);
    parent = tree.byCode.get(parent)?.parent
  ) {
    seen.add(parent);
    level++;
  }
  return level;
};

/** A row's place made of some communities and all below them. */
export const targetOf = (tree: CommunityTree, ou: string, codes: readonly string[]): OuTarget => {
  const members = new Set(codes.flatMap((code) => tree.within(code)));
  const tops = [...new Set(codes)].filter((code) => {
    const parent = tree.byCode.get(code)?.parent;
    return !parent || !members.has(parent);
  });
  return { ou, members: [...members], tops };
};

/**
 * The rows' places of a query. `unregistered` are codes that injuries name but nobody has registered: they belong to "all".
 * Codes that are neither are problems.
 */
export const ouTargets = (
  tree: CommunityTree,
  unregistered: ReadonlySet<string>,
  items: readonly OuItem[] | 'all',
  isDimension: boolean,
): { targets: OuTarget[]; problems: Problem[] } => {
  const problems: Problem[] = [];
  const all = [...tree.byCode.keys(), ...unregistered].sort();
  const known = (code: string): boolean => {
    if (tree.byCode.has(code) || unregistered.has(code)) return true;
    const suggestion = nearest(code, all);
    problems.push({
      code: 'unknown-code',
      detail: { zh: `没有社区“${code}”`, en: `there is no community "${code}"` },
      pointer: '/ou',
      value: code,
      allowed: all.slice(0, 20),
      ...(suggestion !== undefined && { suggestion }),
    });
    return false;
  };
  const codesOf = (item: OuItem): string[] => {
    switch (item.kind) {
      case 'code':
        return known(item.code) ? [item.code] : [];
      case 'children':
        return known(item.code) ? [...tree.children(item.code)] : [];
      case 'level':
        return all.filter((code) => tree.byCode.has(code) && levelOf(tree, code) === item.level);
      case 'group':
        return all.filter((code) => tree.byCode.get(code)?.groups.includes(item.group));
    }
  };
  const codes = items === 'all' ? all : [...new Set(items.flatMap(codesOf))];
  if (problems.length > 0) return { targets: [], problems };
  if (isDimension) return { targets: codes.map((code) => targetOf(tree, code, [code])), problems };
  const label = items === 'all' ? 'ALL' : codes.join(';');
  return { targets: [targetOf(tree, label, codes)], problems };
};
