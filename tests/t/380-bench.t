#!/usr/bin/perl
# tests/bench/run measures this registry, ends with a table, and leaves nothing, also when it is interrupted.
use v5.36;
use FindBin;
use JSON::PP ();
use POSIX ();
use Registry limit => 900;
use Registry::Nodes;
use Registry::Process qw(processes_below);
use Registry::Tools;
use Test::More;
use Time::HiRes qw(sleep);

need(qw(cc nginx curl openssl));
my $bench = ($ENV{srcdir} // "$FindBin::Bin/../..") . '/tests/bench/run';
$bench = "$FindBin::Bin/../bench/run" if !-e $bench;
local $ENV{REGISTRY_SERVER} = Registry->program;
my $dir = tempdir();
my @run = ($bench, '--quick', '--servers', 'ours,nginx', '--dir', $dir);

sub in_dir () { opendir my $in, $dir or die "$dir: $!"; return grep { !/^\.\.?$/ && !/\.json$/ } readdir $in }

my $list = run([ $bench, '--list' ]);
is($list->{exit}, 0, '--list');
my @works = $list->{out} =~ /^([\w-]+) +\S/mg;
cmp_ok(scalar @works, '>', 15, '... has the works');
like(run([ $bench, '--help' ])->{out}, qr/^usage: /, '--help');
my $wrong = run([ @run, 'no-such-work' ]);
is($wrong->{exit}, 2, 'an unknown work: exit code 2');
like($wrong->{err}, qr/^no-such-work: no such work/, '... and why');

my @some = qw(manifest-get images-new push lists);
my $ran = run([ @run, '--json', "$dir/one.json", @some ], timeout => 500);
is($ran->{exit}, 0, 'some works') or diag($ran->{out}, $ran->{err});
is($ran->{err}, '', '... without progress, since this is no terminal');
like($ran->{out}, qr/^\Q$_\E .* ours +[\d.]+/m, "... and $_ is in the table") for @some;
like($ran->{out}, qr/^manifest-get http, 32 .*\n  \/s +nginx +\d+ +[\d.]+ +[\d.]+ +[\d.]+ /m, '... beside nginx, with ratio and times');
like($ran->{out}, qr/^(?:holds|MISSED) +lists /m, '... and what must hold');
is_deeply([ in_dir() ], [], '... and no file is left');
is_deeply([ processes_below($dir) ], [], '... and no process');
my $json = eval { JSON::PP->new->decode(slurp("$dir/one.json")) } // {};
my ($row) = grep { $_->{work} eq 'manifest-get' } @{ $json->{rows} // [] };
cmp_ok($row->{seen}{ours}{value}[0] // 0, '>', 0, '--json has what each round measured');

my $again = run([ @run, '--compare', "$dir/one.json", 'push' ], timeout => 200);
is($again->{exit}, 0, '--compare');
like($again->{out}, qr/^push 1 GiB +[\d.]+ +[\d.]+ +[\d.]+/m, '... shows both runs');

# With what is beside it. Both round trips of a GET take a millisecond more each, on any machine.
SKIP: {
    my $why = Registry::Nodes->missing;
    skip $why, 5 if defined $why;
    my @named = ('ours', 'ours-postgresql', 'ours-postgresql-1ms', find_program('versitygw') ? qw(ours-s3) : ());
    my $beside = run([ $bench, '--quick', '--servers', join(',', @named), '--dir', $dir, '--json', "$dir/two.json", 'manifest-get' ], timeout => 200);
    is($beside->{exit}, 0, "@named") or diag($beside->{out}, $beside->{err});
    my ($seen) = map { $_->{seen} } grep { $_->{name} eq 'http, 32' } @{ (eval { JSON::PP->new->decode(slurp("$dir/two.json")) } // {})->{rows} };
    is_deeply([ sort grep { $seen->{$_}{value} } keys %$seen ], [ sort @named ], '... are measured');
    cmp_ok($seen->{'ours-postgresql-1ms'}{p50}[0] // 0, '>=', 2, '... a far database is far');
    is_deeply([ in_dir() ], [], '... no file is left');
    is_deeply([ processes_below($dir) ], [], '... and no process');
}

# Ctrl-C
my $pid = fork // die "fork: $!";
if ($pid == 0) {
    open STDOUT, '>', '/dev/null';
    open STDERR, '>', '/dev/null';
    exec @run, '--seconds', 20, 'manifest-get';
}
ok(wait_for(200, sub { glob "$dir/*/*-ours/expected" }), 'one that is at work');
sleep 0.5;
kill 'INT', $pid;
ok(wait_for(60, sub { waitpid($pid, POSIX::WNOHANG()) == $pid }), '... and is interrupted, ends');
is($? >> 8, 130, '... with exit code 130');
is_deeply([ in_dir() ], [], '... leaves no file');
is_deeply([ processes_below($dir) ], [], '... and no process');
done_testing();
