// Where the reader is, as the address says it: `#/object/123?ignore=4,5`.

export interface Route {
  /** `overview`, `tree`, `object` … */
  page: string;
  /** What of it: an object's id, a class. */
  of: string;
  options: Record<string, string>;
}

export function parseRoute(hash: string): Route {
  const [way = '', query = ''] = hash.replace(/^#\/?/, '').split('?');
  const [page = '', ...of] = way.split('/');
  return {
    page: page || 'overview',
    of: of.map(decode).join('/'),
    options: Object.fromEntries(new URLSearchParams(query)),
  };
}

export function href(page: string, of = '', options: Record<string, string | undefined> = {}): string {
  const given = Object.entries(options).filter((entry): entry is [string, string] => Boolean(entry[1]));
  const query = new URLSearchParams(given).toString();
  return `#/${page === 'overview' ? '' : page}${of && `/${encodeURIComponent(of)}`}${query && `?${query}`}`;
}

/** A hash that somebody typed may be no encoded text. */
function decode(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}
