# The unit of systemd in contrib/ lets the server do all that it does: no system call is refused.
use v5.36;
use Registry limit => 120;
use Registry::Checks;
use Registry::Tools;
use Test::More;

BEGIN { need('strace', 'systemd-analyze') }
plan skip_all => 'LeakSanitizer does not work below strace' if Registry->sanitized;

my ($unit) = grep { -e } map { "$_/contrib/systemd/docker-registry-server.service" } $ENV{srcdir} // '.', '..', '.';
my $text   = slurp($unit);
my %unit   = $text =~ /^(\w+)=(.*)$/mg;
is($unit{LimitCORE}, 0, 'no core dumps, which would hold passwords');
ok($unit{$_}, "$_ is set") for qw(ProtectHome NoNewPrivileges SystemCallFilter SystemCallErrorNumber);

is($unit{Type}, 'notify', 'systemd waits until the registry can answer');
cmp_ok($unit{WatchdogSec} // 0, '>=', 30, '... and hears whether it is alive');
is($unit{ExecReload}, '/bin/sh -c "kill -HUP $MAINPID"', 'reload is SIGHUP');

is($unit{RestartPreventExitStatus}, Registry->try(['--nonsense'])->{exit}, 'a wrong option is not tried again');

# What make installs: systemd has nothing to say against it, and finds it closed enough.
my ($made) = Registry->program =~ s{[^/]*$}{docker-registry-server.service}r;
SKIP: {
    skip "no unit at $made: make it", 4 if !-e $made;
    like(slurp($made), qr{^ExecStart=/\S+/docker-registry-server --config /\S+/docker-registry-server\.conf$}m, 'the unit that is installed has a configuration');
    unlike(slurp($made), qr/^#:/m, '... and no lines about its installation');
    my $place = tempdir();
    my $text  = slurp($made) =~ s{^(Exec\w+=-?)/\S+/docker-registry-server\b}{$1/bin/true}gmr =~ s{^Documentation=.*\n}{}mr;
    spew("$place/docker-registry-server.service", $text);
    my $verify = run([ 'systemd-analyze', 'verify', "$place/docker-registry-server.service" ]);
    is_deeply([ grep { /docker-registry-server\.service/ } split /\n/, $verify->{err} ], [], '... systemd understands each line of it');
    my $security = run([ 'systemd-analyze', 'security', '--offline=true', '--threshold=30', "$place/docker-registry-server.service" ]);
    is($security->{exit}, 0, '... and its exposure is at most 3.0') or diag($security->{out} =~ /(Overall.*)/);
}

# The system calls of a set, and of the sets in it.
sub calls_of ($set) {
    my $ran = run([ 'systemd-analyze', 'syscall-filter', $set ]);
    return map { /^\s+(@\S+)/ ? calls_of($1) : /^\s+([a-z0-9_]+)\s*$/ ? $1 : () } split /\n/, $ran->{out};
}
my %allowed = map { $_ => 1 } map { calls_of($_) } split / /, $unit{SystemCallFilter};
cmp_ok(scalar keys %allowed, '>', 200, 'the filter is known');

my $tmp = tempdir();
my $registry = Registry->start(args => [ '--user', 'ann:secret' ], user => 'ann:secret',
    prefix => [ 'strace', '-D', '-f', '-qq', '-o', "$tmp/trace", '-e', 'signal=none' ]);
mkdir $registry->dir . '/hooks';
spew($registry->dir . '/hooks/tag', "#!/bin/sh\necho told\n");
chmod 0755, $registry->dir . '/hooks/tag';
is_status($registry->push_image('team/app', 'v1', [ random_bytes(50_000) ]), 201, 'a push');
is_status($registry->get('/v2/team/app/manifests/v1'), 200, 'a pull');
is_status($registry->get('/v2/team/app/_image/v1/tree'), 422, 'a look inside');
ok(wait_for(20, sub { $registry->output =~ /told/ || $registry->log =~ /told/ }), 'a hook');
$registry->stop;
my %used;
open my $trace, '<', "$tmp/trace" or die "$tmp/trace: $!";
/^\d+\s+(\w+)\(/ and $used{$1}++ while <$trace>;
cmp_ok(scalar keys %used, '>', 50, 'the calls are known');
is(join(' ', grep { !$allowed{$_} } sort keys %used), '', 'all of them are allowed');
finish();
