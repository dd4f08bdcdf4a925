import test from 'ava';
import { releaseNotes } from '../../../scripts/release-notes/notes.ts';

const changelog =
  '# Changelog\n\n## Unreleased\n\n## 1.2.0 - 2026-12-01\n\n### Added\n\n- One.\n\n## 1.1.0\n\n- Old.\n';

test('the notes are the section of the version that is tagged', (t) => {
  t.is(releaseNotes('v1.2.0', { version: '1.2.0', changelog }), '### Added\n\n- One.\n');
  t.is(releaseNotes('v1.1.0', { version: '1.1.0', changelog }), '- Old.\n');
});

test('a tag of another version, and a version that nothing is said of, are refused', (t) => {
  t.throws(() => releaseNotes('v1.2.0', { version: '1.3.0', changelog }), {
    message: /^tag: expected v1\.3\.0/,
  });
  t.throws(() => releaseNotes('v1.3.0', { version: '1.3.0', changelog }), {
    message: /^CHANGELOG\.md: expected/,
  });
  t.throws(() => releaseNotes('v1.2.0', { version: '1.2.0', changelog: '## 1.2.0\n\n## 1.1.0\n\n- Old.\n' }));
});
