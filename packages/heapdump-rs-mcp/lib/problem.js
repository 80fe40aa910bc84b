/** What a caller can mend; its text is the answer. */
export class Problem extends Error {}
