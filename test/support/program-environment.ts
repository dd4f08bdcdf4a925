/** Of the tests' own environment, what programs of ours are started with: where they find others, and their compiled sources. */
export const programEnvironment = {
  PATH: process.env['PATH'],
  NODE_COMPILE_CACHE: process.env['NODE_COMPILE_CACHE'],
};
