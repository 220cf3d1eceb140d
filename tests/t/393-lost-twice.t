# A database that is lost again right after it was put back, or whose log is damaged: what can be brought back is, and
# what is lost is said.
use v5.36;
use Registry limit => 200;
use Registry::Checks;
use Registry::Tools;
use Test::More;

my $tmp = tempdir();

sub command (@args) { return Registry->try(\@args, timeout => 60) }
sub names ($dir)    { opendir my $d, $dir or return (); return sort grep { !/^\.\.?$/ } readdir $d }
sub start ($dir)    { return Registry->start(dir => $dir, args => [ '--snapshot-every', '1h' ], expected => qr/./) }

# By tag: its digest, or that one of its blobs is bad.
sub contents ($client) {
    my %all;
    for my $tag (@{ $client->get('/v2/app/tags/list')->json->{tags} // [] }) {
        my $manifest = $client->get("/v2/app/manifests/$tag");
        $all{$tag} = $manifest->header('Docker-Content-Digest');
        for my $part ($manifest->json->{config}, @{ $manifest->json->{layers} }) {
            $all{$tag} = "bad: $part->{digest}" if digest($client->get("/v2/app/blobs/$part->{digest}")->content) ne $part->{digest};
        }
    }
    return \%all;
}

sub push_some ($registry, @tags) {
    for my $tag (@tags) { is_status($registry->push_image('app', $tag, [ random_bytes(20_000) ]), 201, "app:$tag") }
}

# Kills the registry, and removes its database.
sub lose ($registry) {
    run([ 'rm', '-rf', $registry->dir . '/db' ]);
    $registry->crash;
    wait_for(10, sub { !$registry->processes });
}

# Changes some bytes, from that part of the newest log on.
sub damage_log ($dir, $part, $n = 1) {
    my ($log) = reverse sort glob "$dir/log.*";
    open my $f, '+<:raw', $log or die "$log: $!";
    read $f, my $bytes, -s $f;
    my $used = length($bytes =~ s/\0+\z//r);
    my $at   = int($used * $part);
    seek $f, $at, 0;
    print {$f} $n == 1 ? substr($bytes, $at, 1) ^. "\x04" : "\0" x $n;
    close $f or die;
    return;
}

my $dir = "$tmp/data";

subtest 'lost twice before a snapshot' => sub {
    my $registry = start($dir);
    push_some($registry, 'before');
    works(command('snapshot', '--dir', $dir), 'a snapshot');
    push_some($registry, 'since');
    for my $time (1 .. 3) {
        my $before = contents($registry);
        lose($registry);
        works(command('restore', '--snapshot', '--dir', $dir), "restored, time $time");
        $registry = start($dir);
        is_deeply(contents($registry), $before, '... all is there');
        push_some($registry, "after-$time");
    }
    my $before = contents($registry);
    lose($registry);
    works(command('restore', '--snapshot', '--dir', $dir), 'lost once more');
    lose($registry);
    works(command('restore', '--snapshot', '--dir', $dir), '... and before a server has run');
    $registry = start($dir);
    is_deeply(contents($registry), $before, '... all is there');
    is_deeply([ grep { !/^\d{8}T|^logs/ } names("$dir/snapshots") ], [], 'nothing half is left');
    $registry->stop;
};

# Restores a copy of $dir, and one of the two processes is killed when it makes a call for the nth time. Returns where, or
# undef if it doesn't make that many.
sub kill_restore ($at, $call, $n, @other) {
    my $copy = "$at/data";
    mkdir $at;
    run([ 'cp', '-a', $dir, $copy ]);
    my $ran = run([ 'strace', '-f', '-o', "$at/trace", '-e', "trace=$call,renameat2", '-e', "inject=$call:signal=KILL:when=$n", @other, Registry->program, 'restore', '--snapshot', '--dir', $copy ],
        env => { ASAN_OPTIONS => 'detect_leaks=0' }, timeout => 60);
    return $copy if slurp("$at/trace") =~ /killed by SIGKILL/;
    works($ran, "no process of restore makes $n calls of $call");
    run([ 'rm', '-rf', $at ]);
    return undef;
}

subtest 'a restore that is killed' => sub {
    plan skip_all => 'needs strace' if !find_program('strace') || run([ 'strace', '-f', 'true' ])->{exit};
    my $registry = start($dir);
    push_some($registry, 'killed');
    my $before = contents($registry);
    lose($registry);
    # With a damaged database that is there, and without one.
    for my $there (1, 0) {
        if ($there) {
            mkdir "$dir/db";
            run([ 'cp', '-a', "$dir/snapshots/logs/.", "$dir/db/" ]);
        } else {
            run([ 'rm', '-rf', "$dir/db" ]);
        }
        for my $call ($there ? qw(renameat2 linkat mkdirat unlinkat) : qw(renameat2 unlinkat)) {
            for my $n (1 .. 200) {
                my $where = ($there ? '' : 'without db, ') . "at $call $n";
                my $copy = kill_restore("$tmp/$call-$n-$there", $call, $n) // last;
                my $ran;    # its other process may live for a moment
                wait_for(10, sub { ($ran = command('restore', '--snapshot', '--dir', $copy))->{err} !~ /another restore/ });
                works($ran, "restored after one was killed $where");
                my $again = start($copy);
                is_deeply(contents($again), $before, '... all is there');
                $again->stop;
                is_deeply([ grep { /new|unfinished/ } names($copy), names("$copy/snapshots") ], [], '... and nothing half');
                run([ 'rm', '-rf', "$tmp/$call-$n-$there" ]);
            }
        }
    }
    works(command('restore', '--snapshot', '--dir', $dir), 'at last');
};

# Such as ZFS before 2.2.
subtest 'a file system that knows no flags of renameat2' => sub {
    plan skip_all => 'needs strace' if !find_program('strace') || run([ 'strace', '-f', 'true' ])->{exit};
    my @plain = ('-e', 'inject=renameat2:error=EINVAL');
    my $on_it = sub (@args) { return run([ 'strace', '-f', '-o', "$tmp/plain", '-e', 'trace=renameat2', @plain, Registry->program, @args ], env => { ASAN_OPTIONS => 'detect_leaks=0' }, timeout => 60) };
    my $registry = start($dir);
    push_some($registry, 'plain');
    my $before = contents($registry);
    $registry->stop;
    for (1, 2) {
        works($on_it->('snapshot', '--dir', $dir), 'a snapshot');
        works($on_it->('backup', "$tmp/plain-backup", '--dir', $dir), 'a backup');
    }
    for my $n (1 .. 20) {
        my $copy = kill_restore("$tmp/plain-$n", 'renameat', $n, @plain) // last;
        my $ran;
        wait_for(10, sub { ($ran = $on_it->('restore', '--snapshot', '--dir', $copy))->{err} !~ /another restore/ });
        works($ran, "restored after one was killed at $n");
        my $again = start($copy);
        is_deeply(contents($again), $before, '... all is there');
        $again->stop;
        is_deeply([ grep { /new|unfinished/ } names($copy), names("$copy/snapshots") ], [], '... and nothing half');
        run([ 'rm', '-rf', "$tmp/plain-$n" ]);
    }
    my $ran = $on_it->('restore', '--snapshot', '--dir', $dir);
    works($ran, 'restore --snapshot');
    my ($aside) = $ran->{out} =~ /the database before is (\S+)$/m;
    ok(-e "$aside/tag", '... sets the database before aside');
    $registry = start($dir);
    is_deeply(contents($registry), $before, '... and all is there');
    $registry->stop;
};

subtest 'the clock was put back' => sub {
    my ($newest) = reverse grep { /^\d/ } names("$dir/snapshots");
    rename "$dir/snapshots/$newest", "$dir/snapshots/29990101T000000Z" or die;
    my $registry = start($dir);
    my ($name) = command('snapshot', '--dir', $dir)->{out} =~ /^snapshot (\S+)$/m;
    is($name, '29990101T000001Z', 'the next snapshot is still the newest one');
    push_some($registry, 'clock');
    my $before = contents($registry);
    lose($registry);
    like(command('restore', '--snapshot', '--dir', $dir)->{out}, qr/the snapshot 29990101T000001Z, and all/, '... and is the one that is put back');
    $registry = start($dir);
    is_deeply(contents($registry), $before, '... all is there');
    $registry->stop;
};

subtest 'a log is damaged, and found after a clean stop' => sub {
    for my $n (1, 5000) {
        my $registry = start($dir);
        works(command('snapshot', '--dir', $dir), 'a snapshot');
        push_some($registry, map { "clean$n-$_" } 1 .. 3);
        my $before = contents($registry);
        $registry->stop;
        damage_log("$dir/db", 0.5, $n);
        is_refused(Registry->try([ '--dir', $dir, '--port', 0, '--listen', '127.0.0.1', is_root() ? ('--run-as', 'www-data') : () ], timeout => 30), qr/restore --snapshot/, "$n bytes: no server starts");
        my $ran = command('restore', '--snapshot', '--dir', $dir);
        works($ran, 'restore --snapshot');
        like($ran->{out}, qr/^restored the database from its tables, which have everything; the database before is /, '... says from what');
        $registry = start($dir);
        is_deeply(contents($registry), $before, '... nothing is lost');
        push_some($registry, "more$n");
        $registry->stop;
        works(command('fsck', '--dir', $dir), '... and fsck is content');
    }
};

subtest 'the end of the log is cut off after a clean stop' => sub {
    for my $n (10, 3000, 200_000) {
        my $registry = start($dir);
        works(command('snapshot', '--dir', $dir), 'a snapshot') if $n > 10;
        push_some($registry, map { "end$n-$_" } 1 .. 3);
        my $before = contents($registry);
        $registry->stop;
        works(command('stat', '--dir', $dir), 'a command without a server, which ends cleanly, too') if $n == 10;
        my ($log) = reverse sort glob "$dir/db/log.*";
        my $used = length(slurp($log) =~ s/\0+\z//r);
        truncate $log, $used > $n ? $used - $n : 100 or die;
        is_refused(Registry->try([ '--dir', $dir, '--port', 0, '--listen', '127.0.0.1', is_root() ? ('--run-as', 'www-data') : () ], timeout => 30), qr/restore --snapshot/, "$n bytes: no server starts");
        my $ran = command('restore', '--snapshot', '--dir', $dir);
        works($ran, 'restore --snapshot');
        like($ran->{out}, qr/^restored the database from its tables, which have everything; /, '... says from what');
        $registry = start($dir);
        is_deeply(contents($registry), $before, '... nothing is lost');
        $registry->stop;
    }
};

for my $n (1, 5000) {
    subtest "a log is damaged, and db/ is gone: $n bytes" => sub {
        my $registry = start($dir);
        works(command('snapshot', '--dir', $dir), 'a snapshot');
        push_some($registry, map { "loss$n-$_" } 1 .. 2);
        my $before = contents($registry);
        my $late   = random_bytes(20_000);
        push_some($registry, map { "loss$n-$_" } 3 .. 5);
        is_status($registry->push_image('app', "loss$n-6", [$late]), 201, 'more');
        my $after = contents($registry);
        lose($registry);
        damage_log("$dir/snapshots/logs", 0.5, $n);
        my $ran = command('restore', '--snapshot', '--dir', $dir);
        is($ran->{exit}, 1, 'restore --snapshot fails, since something is lost');
        my ($until) = $ran->{out} =~ /^restored the snapshot \S+, and what was logged until (\S+)$/m;
        like($until // '', qr/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/, '... tells the moment') or diag($ran->{out});
        like($ran->{err}, qr/^docker-registry-server: log\.\d{10} can't be read behind byte \d+, and \S+ k?B of logs behind it: what was changed later is lost, except for the layers that rebuild has found$/m, '... and what was not read');
        like($ran->{out}, qr/came back into the repository recovered/, '... and rebuild was run');
        $registry = start($dir);
        my $now = contents($registry);
        is_deeply({ map { $_ => $now->{$_} } grep { exists $now->{$_} } keys %$after }, $now, 'what is there is as it was');
        cmp_ok(scalar keys %$now, '>=', 8, '... the snapshot is there');
        ok(!exists $now->{"loss$n-6"}, '... and the last image is not');
        is_blob($registry, 'recovered', $late, '... but its layer is');
        push_some($registry, "later$n");
        my $then = contents($registry);
        lose($registry);
        works(command('restore', '--snapshot', '--dir', $dir), 'the damage does not come back');
        $registry = start($dir);
        is_deeply(contents($registry), $then, '... all is there');
        $registry->stop;
        works(command('fsck', '--dir', $dir), '... and fsck is content');
    };
}

finish();
