/** `release-notes.ts vX.Y.Z`: prints what CHANGELOG.md says of a version; fails where that, package.json and the tag do not agree. */
import { readFileSync } from 'node:fs';
import { releaseNotes } from './release-notes/notes.ts';

const [tag = ''] = process.argv.slice(2);
const text = (name: string) => readFileSync(new URL(`../${name}`, import.meta.url), 'utf8');
const { version } = JSON.parse(text('package.json')) as { version: string };
process.stdout.write(releaseNotes(tag, { version, changelog: text('CHANGELOG.md') }));
