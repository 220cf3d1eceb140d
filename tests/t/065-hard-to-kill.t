# What hangs, is stopped, wears out or is left behind heals by itself, and SIGHUP costs nobody a request.
use v5.36;
use Registry limit => 150;
use Registry::Checks;
use Registry::Process;
use Registry::Tools;
use List::Util qw(max shuffle);
use Test::More;
use Time::HiRes qw(sleep time);

# What the log has to say here, and what killed processes leave behind.
my $HEALED = qr/signal 9|signal=9|signal=15|hangs inside|recovering |upstream|left in connection|aborting|nginx died/;

# Calls $request until the file $until is there; what came instead of $status, how often it was
# called, and how long the slowest took.
sub ask_on ($until, $status, $request) {
    my %told = (asked => 0, slowest => 0, wrong => {});
    while (!-e $until) {
        my $begin    = time;
        my $response = $request->($told{asked}++);
        $told{slowest} = max($told{slowest}, time - $begin);
        $told{wrong}{ $response->status . ' ' . substr $response->content, 0, 100 }++ if $response->status != $status;
    }
    return \%told;
}

# A manifest that keeps its transaction busy for a while.
sub large_manifest ($registry) {
    my @layers = map { random_bytes(50) } 1 .. 80;
    my ($config, $manifest) = $registry->image_of(\@layers);
    for my $bytes ($config, @layers) {
        return undef if $registry->push_blob('a/b', $bytes, way => 'post')->status != 201;
    }
    return $manifest;
}

# Stops workers until it was one inside the database: then all others wait for it. Whoever would wake
# it has no chance, until the watchdog comes.
sub stop_one_inside ($registry, $manifest) {
    my $client = $registry->with(timeout => 0.7);
    for my $try (1 .. 200) {
        my ($pid) = shuffle($registry->children('worker api')) or next;
        kill 'STOP', $pid;
        if (!grep { $client->put_manifest('a/b', "probe$_", $manifest)->status == 201 } 1 .. 2) {
            wait_for(5, sub { kill 'STOP', $pid for 1 .. 10; $registry->logged(qr/hangs inside/) });
        }
        kill 'CONT', $pid;
        return $try if $registry->logged(qr/hangs inside/);
    }
    return 0;
}

# Each of the clients has pushed more than ten tags.
sub all_went_on ($registry) {
    my %n;
    /^c(\d)-/ and $n{$1}++ for @{ ($registry->get('/v2/a/b/tags/list?n=1000')->json // {})->{tags} // [] };
    return 3 == grep { ($n{$_} // 0) > 10 } 0 .. 2;
}

subtest 'a worker that is stopped inside the database' => sub {
    my $registry = Registry->start(args => [ '--watchdog', '2' ], expected => $HEALED);
    my $until    = tempdir() . '/end';
    ok(my $manifest = large_manifest($registry), 'parts are pushed');
    my @told = in_parallel(4, 60, sub ($i) {
        return ask_on($until, 201, sub ($n) { return $registry->put_manifest('a/b', "c$i-$n", $manifest) }) if $i < 3;
        my $try = eval { stop_one_inside($registry, $manifest) } // 0;
        wait_for(30, sub { all_went_on($registry) });
        sleep 1;
        spew($until, '');
        return $try;
    });
    my $try = pop @told;
    ok($try, 'is found by the watchdog');
    ok($registry->logged(qr/recovering the database/), '... the database is recovered');
    for my $i (0 .. 2) {
        cmp_ok($told[$i]{asked} // 0, '>', 10, "... client $i went on") or next;
        cmp_ok($told[$i]{slowest}, '<', 15, '... and never waited for long');
        is_deeply([ grep { !/^503 / } keys %{ $told[$i]{wrong} } ], [], '... failing cleanly in between') or diag(explain($told[$i]{wrong}));
    }
    note("it was the one stopped as number $try; slowest request ", max(map { $_->{slowest} // 0 } @told), ' s');
    is_status($registry->put_manifest('a/b', 'after', $manifest), 201, 'pushes go on');
};

subtest 'processes that are stopped' => sub {
    my $registry = Registry->start(args => [ '--watchdog', '2' ], expected => $HEALED);
    my @api      = $registry->children('worker api');
    my $is_well  = sub { return $registry->with(timeout => 10)->get('/healthz')->status == 200 };
    kill 'STOP', $api[0];
    wait_for(2, sub { is_stopped($api[0]) }); # on a busy machine it isn't at once
    my $meanwhile = 0;
    ok(!(grep { my $well = $is_well->(); $meanwhile += is_stopped($api[0]); !$well } 1 .. 20), 'one idle worker: nobody notices');
    cmp_ok($meanwhile, '>=', 5, '... or waits until it is woken');
    my $woken = sub (@pids) {
        return wait_for(6, sub { !grep { command_of($_) ne '' && is_stopped($_) } @pids });
    };
    ok($woken->($api[0]), '... it is woken');
    for my $case ([ 'all workers', sub { $registry->children('worker') } ], [ 'the keeper', sub { $registry->children('keeper') } ],
        [ 'nginx\'s workers', sub { $registry->nginx_workers } ], [ 'nginx\'s master', sub { $registry->nginx_master } ],
        [ 'the master', sub { $registry->pid } ]) {
        my ($name, $who) = @$case;
        my @pids = $who->();
        kill 'STOP', @pids;
        ok(wait_for(1, sub { grep { is_stopped($_) } @pids }), "$name: stopped");
        ok($woken->(@pids), '... and woken');
        ok($is_well->(), '... all is well');
    }
    my ($worker) = $registry->children('worker api');
    kill 'STOP', $registry->pid;
    kill 'KILL', $worker;
    ok(wait_for(8, sub { $registry->children('worker api') == @api && !grep { $_ == $worker } $registry->children('worker api') }),
        'who died meanwhile is replaced');
    is_status($registry->push_blob('a/b', random_bytes(1000)), 201, 'pushes go on');
};

sub is_stopped ($pid) { return slurp("/proc/$pid/stat") =~ /\) T / }

subtest 'a worker that has served ten thousand requests' => sub {
    my $registry = Registry->start(args => [ '--workers', '1' ]);
    my ($old)    = $registry->children('worker api');
    my @told     = in_parallel(2, 60, sub ($i) {
        my $connection = $registry->connect;
        my %wrong;
        for (1 .. 6200) {
            my $status = $registry->get('/v2/', on => $connection)->status;
            $wrong{$status}++ if $status != 200;
        }
        return \%wrong;
    });
    my ($new) = $registry->children('worker api');
    ok($new && $new != $old, 'makes room for another');
    is_deeply($told[$_], {}, '... and no request of client ' . $_ . ' is lost') for 0, 1;
    ok($registry->logged(qr/process ended.*worker api 1/), '... in peace');
};

subtest 'SIGHUP, again and again' => sub {
    my $registry = Registry->start(args => [ '--user', 'ann:secret' ], user => 'ann:secret');
    my $until    = tempdir() . '/end';
    my $layer    = random_bytes(200_000);
    is_status($registry->push_image('a/b', 'v1', [$layer]), 201, 'an image is pushed');
    my @told = in_parallel(5, 40, sub ($i) {
        return ask_on($until, 200, sub ($n) { return $registry->get('/v2/a/b/manifests/v1') })                        if $i == 0;
        return ask_on($until, 200, sub ($n) { return $registry->get('/v2/a/b/blobs/' . digest($layer)) })              if $i == 1;
        return ask_on($until, 201, sub ($n) { return $registry->push_blob('a/b', random_bytes(50_000), chunked => 1) }) if $i == 2;
        if ($i == 3) {
            # nginx may close a connection that waits for a request: asked again then, as RFC 9110 (9.2.2) has it.
            my $connection = $registry->connect;
            return ask_on($until, 200, sub ($n) {
                my $response = $registry->get('/v2/a/b/manifests/v1', on => $connection);
                return $response if $response->status != 599;
                $connection = $registry->connect;
                return $registry->get('/v2/a/b/manifests/v1', on => $connection);
            });
        }
        for (1 .. 20) {
            kill 'HUP', $registry->pid;
            sleep 0.2;
        }
        spew($until, '');
        return {};
    });
    for my $i (0 .. 3) {
        cmp_ok($told[$i]{asked} // 0, '>', 3, "client $i worked on");
        is_deeply($told[$i]{wrong}, {}, '... and no request failed') or diag(explain($told[$i]));
    }
    note('slowest request ', max(map { $_->{slowest} // 0 } @told), ' s');
};

# Kills every worker that shows up, for some seconds or until the condition holds: how many there were.
sub kill_all_who_come ($registry, $seconds, $enough) {
    my $end = time + $seconds;
    my %killed;
    while (time < $end && !$enough->()) {
        $killed{$_} = 1 for grep { kill 'KILL', $_ } $registry->children('worker');
        sleep 0.01;
    }
    return scalar keys %killed;
}

subtest 'a loop of deaths' => sub {
    my $registry = Registry->start(expected => $HEALED);
    my $told     = sub { return scalar $registry->logged(qr/wait_ms=[1-9]/) };
    note(kill_all_who_come($registry, 30, $told) . ' killed at first');
    ok($told->(), 'is slowed down, and the log says so');
    # One start of all six a second, and not as many as can be.
    cmp_ok(kill_all_who_come($registry, 5, sub { 0 }), '<', 100, '... to few deaths a second');
    ok(wait_for(20, sub { $registry->get('/healthz')->status == 200 }), '... and healed when it ends');
};

subtest 'both masters are killed at once' => sub {
    my $port     = free_port();
    my @listen   = (listen => [ '--listen', '127.0.0.1', '--port', $port ]);
    my $registry = Registry->start(@listen, expected => $HEALED);
    my $layer    = random_bytes(100_000);
    is_status($registry->push_image('a/b', 'v1', [$layer]), 201, 'an image is pushed');
    my ($guard) = $registry->children('guard') or return fail('nobody watches nginx');
    kill 'KILL', $guard;
    ok(wait_for(5, sub { my ($new) = $registry->children('guard'); $new && $new != $guard }), 'who watches nginx is replaced');

    kill 'KILL', $registry->nginx_master, $registry->pid;
    ok(wait_for(3, sub { !$registry->running && !$registry->processes }), 'nothing is left')
        or diag(map { command_of($_) . "\n" } $registry->processes);
    ok(wait_for(1, sub { !$registry->connect }), '... and the port is free');

    $registry = Registry->start(@listen, dir => $registry->dir, expected => $HEALED);
    is_blob($registry, 'a/b', $layer, 'the same command runs again');
    kill 'KILL', $registry->children('guard'), $registry->nginx_master, $registry->pid;
    $registry->running;
    $registry = Registry->start(@listen, dir => $registry->dir, expected => $HEALED);
    is_blob($registry, 'a/b', $layer, 'so it does at once, whatever was left');
    # A worker goes by its master's name until it has its own.
    ok(wait_for(5, sub { my @masters = $registry->nginx_master; @masters == 1 }), '... with one nginx');
};

finish();
