/** Words that Parle may have misheard: not errors of the learner. */

// Below this the word is marked.
const UNSURE = 0.3;

export const doubtful = (word) => word.probability < UNSURE;
