# A backup or a snapshot that is cut off at any point, by a disk that is full or fails: what was complete stays, nothing
# half is taken for one, and a repeated one works and costs what is new.
use v5.36;
use Registry limit => 240;
use Registry::Checks;
use Registry::Shim;
use Registry::Tools;
use JSON::PP qw(decode_json);
use POSIX qw(EIO ENOSPC);
use Test::More;

my $shim     = Registry::Shim->new;
my $tmp      = tempdir();
my $backups  = "$tmp/backups";
my $registry = Registry->start(args => [ '--snapshot-every', '0' ]);
my $dir      = $registry->dir;

sub command (@args) { return Registry->try(\@args, timeout => 60) }
sub fragile (@args) { return Registry->try(\@args, timeout => 60, env => $shim->env) }
sub names ($dir)    { opendir my $d, $dir or return (); return sort grep { !/^\.\.?$/ } readdir $d }
sub complete ()     { return map { $_->{name} } grep { $_->{state} eq 'complete' } map { decode_json($_) } split /\n/, command('backup', '--list', $backups, '--json')->{out} }
sub restore ($from, $to) { return command('restore', $from, '--dir', $to, is_root() ? ('--run-as', 'www-data') : ()) }

sub push_some ($registry, @tags) {
    for my $tag (@tags) { is_status($registry->push_image('app', $tag, [ random_bytes(20_000) ]), 201, "app:$tag") }
}

# Lets the first call fail, then a later one, and so on, until none fails any more. Returns how many did. CUT_AT=0,1,2
# names others.
my @AT = split /,/, $ENV{CUT_AT} // '0,1,4,20';

sub at_each_point ($call, $path, $errno, $try) {
    my $failures = 0;
    for my $skip (@AT) {
        $shim->fail($call, $path, $errno, skip => $skip, times => 1);
        my $ok = $try->("$call $skip");
        my $failed = $shim->failed;
        $shim->heal;
        last if !$failed;
        $failures += !$ok;
    }
    return $failures;
}

push_some($registry, 1 .. 3);
works(command('backup', $backups, '--dir', $dir), 'a backup');
push_some($registry, 4, 5);
$registry->stop;
my ($first) = names($backups);

subtest 'a backup' => sub {
    my $try = sub ($point) {
        my $ran = fragile('backup', $backups, '--dir', $dir);
        my @now = complete();
        if ($ran->{exit} == 0) {
            is(scalar @now, 2, "$point: nothing came of it");
        } else {
            is_deeply(\@now, [$first], "$point: the first one is the only complete one") or diag($ran->{err});
            is(scalar(() = $ran->{err} =~ /^docker-registry-server: /mg), 1, '... and one line says why') or diag($ran->{err});
            unlike($ran->{err}, qr/damaged in the registry/, '... which does not blame the registry');
            is_deeply([ grep { !/^log/ } names("$dir/snapshots") ], [], '... and the data directory has no rest');
            is_refused(restore("$backups/unfinished", "$tmp/none"), qr/no complete backup|is not complete/, '... and what there is of it is refused') if -e "$backups/unfinished";
            ok(!-e "$tmp/none", '... before anything is made');
        }
        run([ 'rm', '-rf', map { "$backups/$_" } grep { $_ ne $first && /^\d/ } names($backups) ]);
        return $ran->{exit} == 0;
    };
    my $failures = 0;
    $failures += at_each_point($_, $backups, EIO, $try) for qw(fsync linkat);
    $failures += at_each_point($_, $backups, ENOSPC, $try) for qw(pwrite mkdirat);
    cmp_ok($failures, '>', 6, "it failed at $failures points");
    my $ran = command('backup', $backups, '--dir', $dir);
    works($ran, 'then it works');
    is(scalar(complete()), 2, '... and is complete');
    ok(!-e "$backups/unfinished", '... and nothing else is left');
    like(command('backup', $backups, '--dir', $dir)->{out}, qr/10 blobs .*, 0 of them new/, 'another one has nothing new');
    works(restore($backups, "$tmp/new"), 'the newest one is restored');
    works(command('fsck', '--dir', "$tmp/new"), '... and is whole');
};

subtest 'a snapshot' => sub {
    works(command('snapshot', '--dir', $dir), 'a snapshot');
    my @before = names("$dir/snapshots");
    my $try = sub ($point) {
        my $ran = fragile('snapshot', '--dir', $dir);
        my @now = names("$dir/snapshots");
        if ($ran->{exit} == 0) {
            is(scalar @now, @before + 1, "$point: nothing came of it");
        } else {
            is_deeply(\@now, \@before, "$point: no half of one is there") or diag($ran->{err});
            is(scalar(() = $ran->{err} =~ /^docker-registry-server: /mg), 1, '... and one line says why') or diag($ran->{err});
        }
        @before = @now;
        return $ran->{exit} == 0;
    };
    my $failures = 0;
    $failures += at_each_point($_, "$dir/snapshots", EIO, $try) for qw(renameat);
    $failures += at_each_point($_, "$dir/snapshots", ENOSPC, $try) for qw(pwrite mkdirat);
    cmp_ok($failures, '>', 3, "it failed at $failures points");
    works(command('snapshot', '--dir', $dir), 'then it works');
    run([ 'rm', '-rf', "$dir/db" ]);
    works(command('restore', '--snapshot', '--dir', $dir), 'it is put back');
    works(command('fsck', '--dir', $dir), '... and is whole');
};

subtest "the server's own" => sub {
    my $server = Registry->start(dir => $dir, args => [ '--snapshot-every', '1s' ], env => $shim->env, expected => qr/no snapshot of the database|berkeley db/);
    $shim->fail(pwrite => 'snapshots/unfinished', ENOSPC);
    ok(wait_for(20, sub { $server->logged(qr/no snapshot of the database could be taken/) }), 'it says that a snapshot failed');
    ok(wait_for(20, sub { $shim->failed > 3 }), '... tries again');
    my @before = grep { /^\d/ } names("$dir/snapshots");
    is(scalar(() = $server->logged(qr/no snapshot of the database could be taken/)), 1, '... and says it once');
    push_some($server, 'meanwhile');
    $shim->heal;
    ok(wait_for(20, sub { my @now = grep { /^\d/ } names("$dir/snapshots"); $now[-1] gt $before[-1] }), 'the next one works');
    $server->stop;
    is_deeply([ grep { !/^\d|^logs/ } names("$dir/snapshots") ], [], 'nothing half is left');
};

# A log that no database has any more, as large as many of them.
subtest 'logs are kept up to a limit' => sub {
    my ($first) = map { /log\.0*(\d+)$/ } (sort glob "$dir/snapshots/logs/log.*")[0];
    my $old = sprintf '%s/snapshots/logs/log.%010d', $dir, $first - 1;    # so that no number is missing
    is(run([ 'fallocate', '-l', 257 << 20, $old ])->{exit}, 0, '257 MiB of logs');
    run([ 'chown', '--reference', "$dir/db", $old ]);
    my @before = grep { /^\d/ } names("$dir/snapshots");
    my $server = Registry->start(dir => $dir, args => [ '--snapshot-every', '1h' ]);
    ok(wait_for(30, sub { !-e $old }), 'they go at once, not in an hour');
    my @now = grep { /^\d/ } names("$dir/snapshots");
    ok($now[-1] gt $before[-1], '... since there is a snapshot after them');
    $server->stop;
};

finish();
