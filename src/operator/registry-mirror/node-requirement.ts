/** Single requirements of Kubernetes' node affinity: what can be read, the opposite, all of one key together. Pure. Used by `placement.ts`. */

/** One requirement about a label, or about a field of the node. */
export interface Atom {
  readonly field: boolean;
  readonly key: string;
  readonly operator: 'In' | 'NotIn' | 'Exists' | 'DoesNotExist' | 'Gt' | 'Lt';
  readonly values: readonly string[];
}

const labelValue = /^(?:[A-Za-z0-9](?:[-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?)?$/;
const greatest = 2n ** 63n - 1n;

/** What Kubernetes cannot read matches no node. */
export function isReadable({ field, key, operator, values }: Atom): boolean {
  const [value] = values;
  if (field && (key !== 'metadata.name' || values.length !== 1)) return false;
  switch (operator) {
    case 'In':
    case 'NotIn':
      // A node's name is no label: it may be longer.
      return values.length > 0 && (field || values.every((one) => labelValue.test(one)));
    case 'Exists':
    case 'DoesNotExist':
      return !field && values.length === 0;
    case 'Gt':
    case 'Lt':
      return !field && values.length === 1 && number(value) !== undefined;
    default:
      return false;
  }
}

/** As a label it has no sign. */
function number(value: string | undefined): bigint | undefined {
  if (value === undefined || !/^\d+$/.test(value)) return undefined;
  const parsed = BigInt(value);
  return parsed > greatest ? undefined : parsed;
}

/** Any of these holds where `atom` does not. */
export function negation(atom: Atom): readonly Atom[] {
  const { operator, values } = atom;
  const absent: Atom = { ...atom, operator: 'DoesNotExist', values: [] };
  const present: Atom = { ...absent, operator: 'Exists' };
  switch (operator) {
    case 'In':
      return [{ ...atom, operator: 'NotIn' }];
    case 'NotIn':
      return [{ ...atom, operator: 'In' }];
    case 'Exists':
      return [absent];
    case 'DoesNotExist':
      return [present];
  }
  const bound = number(values[0]) ?? 0n;
  const beyond = operator === 'Gt' ? bound + 1n : bound - 1n;
  // No label is below 0 or above an int64: then the comparison holds for none.
  if (beyond < 0n || beyond > greatest) return [absent, present];
  return [absent, { ...atom, operator: operator === 'Gt' ? 'Lt' : 'Gt', values: [String(beyond)] }];
}

/** All that is said of one key in its one normal form; undefined where nothing can match. */
export function narrow(atoms: readonly Atom[]): Atom[] | undefined {
  const { field = false, key = '' } = atoms[0] ?? {};
  const atom = (operator: Atom['operator'], ...values: string[]): Atom => ({ field, key, operator, values });
  const having = (operator: Atom['operator']) => atoms.filter((one) => one.operator === operator);
  const bounds = (operator: 'Gt' | 'Lt') =>
    having(operator)
      .map(({ values }) => number(values[0]) ?? 0n)
      .sort((one, other) => (one < other ? -1 : 1));
  const above = bounds('Gt').at(-1);
  const below = bounds('Lt').at(0);
  const forbidden = new Set(having('NotIn').flatMap(({ values }) => values));
  const sets = having('In').map(({ values }) => values);
  const compared = above !== undefined || below !== undefined;
  if (above === greatest || below === 0n) return undefined;
  if (having('DoesNotExist').length > 0) {
    const present = sets.length > 0 || compared || having('Exists').length > 0;
    return present ? undefined : [atom('DoesNotExist')];
  }
  if (sets.length > 0) {
    const values = [...new Set(sets.flat())]
      .filter((value) => sets.every((set) => set.includes(value)) && !forbidden.has(value))
      .filter((value) => isBetween(value, above, below))
      .sort();
    return values.length === 0 ? undefined : [atom('In', ...values)];
  }
  if (above !== undefined && below !== undefined && above + 1n >= below) return undefined;
  // Fields are compared with one value each.
  const unwanted = [...forbidden].sort();
  const notIn = field ? unwanted.map((value) => atom('NotIn', value)) : [atom('NotIn', ...unwanted)];
  return [
    ...(having('Exists').length > 0 && !compared ? [atom('Exists')] : []),
    ...(above === undefined ? [] : [atom('Gt', String(above))]),
    ...(below === undefined ? [] : [atom('Lt', String(below))]),
    ...(unwanted.length === 0 ? [] : notIn),
  ];
}

function isBetween(value: string, above: bigint | undefined, below: bigint | undefined): boolean {
  if (above === undefined && below === undefined) return true;
  const parsed = number(value);
  if (parsed === undefined) return false;
  return (above === undefined || parsed > above) && (below === undefined || parsed < below);
}
