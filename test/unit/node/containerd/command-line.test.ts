import test from 'ava';
import { addressOf, configFileOf } from '../../../../src/node/containerd/command-line.ts';

test('the configuration file is the one that the arguments name last', (t) => {
  for (const flags of [
    ['--config', '/c.toml'],
    ['--config=/c.toml'],
    ['-config', '/c.toml'],
    ['-c', '/c.toml', '--log-level', 'debug'],
    ['-c=/c.toml'],
    ['--config', '/other.toml', '-c', '/c.toml'],
  ])
    t.is(configFileOf(['/usr/bin/containerd', ...flags]), '/c.toml', flags.join(' '));
  for (const flags of [[], ['--config'], ['--config='], ['--log-level=config'], ['--configs', '/c.toml']])
    t.is(configFileOf(['/usr/bin/containerd', ...flags]), '/etc/containerd/config.toml', flags.join(' '));
  t.is(configFileOf(['containerd', '-c=/a=b.toml']), '/a=b.toml');
});

test('the socket is that of the arguments, then that of the configuration, then the usual one', (t) => {
  const config = '[grpc]\naddress = "/run/one.sock"\n';
  t.is(addressOf(['containerd', '--address', '/run/two.sock'], config), '/run/two.sock');
  t.is(addressOf(['containerd', '-a=/run/two.sock'], config), '/run/two.sock');
  t.is(addressOf(['containerd'], config), '/run/one.sock');
  t.is(addressOf(['containerd', '-a', '/var/run//x/containerd.sock'], ''), '/run/x/containerd.sock');
  for (const text of ['', 'grpc = 1\n', '[grpc]\naddress = ""\n', 'no = = TOML'])
    t.is(addressOf(['containerd'], text), '/run/containerd/containerd.sock', text);
});
