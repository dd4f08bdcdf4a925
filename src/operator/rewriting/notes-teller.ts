/** Tells what is odd and harmless in ImageMaps, once each, in an event of the map and a line of the log. */
import type { EventRecorder } from '../../kube/events.ts';
import { type KubeObject, keyOf } from '../../kube/object.ts';
import type { Logger } from '../../observe/log.ts';

export interface NotesTellerOptions {
  readonly events: Pick<EventRecorder, 'warning'>;
  readonly logger: Logger;
}

/** So many are told word by word; the others by their number. */
const mostNotes = 5;

export class NotesTeller {
  readonly #options: NotesTellerOptions;
  /** By uid of the map. */
  readonly #told = new Map<string, ReadonlySet<string>>();

  constructor(options: NotesTellerOptions) {
    this.#options = options;
  }

  /** Takes a map and all that is odd in it now; what is odd no more is told again when it comes back. */
  async tell(map: KubeObject, notes: readonly string[]): Promise<void> {
    const { events, logger } = this.#options;
    const { uid = '', generation } = map.metadata;
    const told = this.#told.get(uid);
    const added = notes.filter((note) => !told?.has(note));
    if (notes.length === 0) this.#told.delete(uid);
    else this.#told.set(uid, new Set(notes));
    if (added.length === 0) return;
    const message = joined(added);
    logger.warn({ imageMap: keyOf(map), notes: message }, 'Lines of an ImageMap are without effect');
    await events.warning(map, 'LineWithoutEffect', message, { occurrence: `${generation ?? ''}` });
  }

  /** Forgets all other maps. */
  keep(uids: ReadonlySet<string>): void {
    for (const uid of this.#told.keys()) if (!uids.has(uid)) this.#told.delete(uid);
  }
}

function joined(notes: readonly string[]): string {
  const more = notes.length - mostNotes;
  return [...notes.slice(0, mostNotes), ...(more > 0 ? [`and ${more} more`] : [])].join('; ');
}
