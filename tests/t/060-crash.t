# Whatever process is killed: what was acknowledged is whole, the rest succeeds when it is repeated, nobody hangs.
use v5.36;
use Registry limit => 240;
use Registry::Checks;
use Registry::Process;
use Registry::Tools;
use List::Util qw(max shuffle sum0);
use Test::More;
use Time::HiRes qw(sleep time);

# Workers are killed in the middle of requests here, and nginx is, too; nobody's error but ours.
my $KILLED = qr/signal 9|signal=9|msg="recovering |"database lost|upstream|left in connection|aborting/;

# Pushes images until the file $until is there; each is repeated until it succeeds. What was
# acknowledged, what answers there were instead, how long the slowest push took.
sub push_on ($registry, $repository, $until) {
    my (@acknowledged, %tags, %refused);
    my ($pushed, $slowest, $given_up) = (0, 0, 0);
    while (!-e $until) {
        my @layers = map { random_bytes(1000 + int rand 200_000) } 1 .. 2;
        my $tag    = "t$pushed";
        my $begin  = time;
        my $tries  = 0;
        while (1) {
            my $started  = time;
            my $response = $registry->push_image($repository, $tag, \@layers,
                acknowledged => sub ($digest) { push @acknowledged, $digest }, way => (qw(patch put post))[ rand 3 ]);
            $slowest = max($slowest, time - $started);
            last if $response->status == 201;
            my $when = $response->header('Retry-After');
            $refused{ $response->status . (defined $when ? ', to be repeated' : ' ' . $response->content) }++;
            if (++$tries >= 200 || time - $begin > 40) { $given_up++; last }
            sleep 0.05;
        }
        $tags{$tag} = $acknowledged[-1];
        $pushed++;
        sleep 0.02;
    }
    return { pushed => $pushed, slowest => $slowest, given_up => $given_up, refused => \%refused,
        acknowledged => \@acknowledged, tags => \%tags };
}

# Everything that one of them was told is there.
sub is_whole ($registry, $repository, $told, $name) {
    my @wrong;
    my $connection = $registry->connect;
    my %manifests = reverse %{ $told->{tags} };
    for my $digest (@{ $told->{acknowledged} }) {
        my $kind     = exists $manifests{$digest} ? 'manifests' : 'blobs';
        my $response = $registry->get("/v2/$repository/$kind/$digest", on => $connection);
        push @wrong, "$digest: " . $response->status if $response->status != 200 || digest($response->content) ne $digest;
    }
    for my $tag (sort keys %{ $told->{tags} }) {
        my $response = $registry->get("/v2/$repository/manifests/$tag", on => $connection);
        push @wrong, "$tag: " . $response->status if ($response->header('Docker-Content-Digest') // '') ne $told->{tags}{$tag};
    }
    ok(!@wrong, "$name: " . @{ $told->{acknowledged} } . ' acknowledged things are whole') or diag(join "\n", splice @wrong, 0, 10);
    return;
}

subtest 'workers are killed, fifty times, while four clients push' => sub {
    my $registry = Registry->start(expected => $KILLED);
    my $workers  = $registry->children('worker');
    my $until    = tempdir() . '/end';
    my @told     = in_parallel(5, 120, sub ($i) {
        return push_on($registry->with(timeout => 40), "team/app$i", $until) if $i < 4;
        my %killed;
        while (sum0(values %killed) < 50) {
            sleep 0.5;
            my ($pid) = shuffle($registry->children('worker')) or next;
            my $title = title_of($pid) =~ s/ \d+$//r;
            $killed{$title}++ if kill 'KILL', $pid;
        }
        spew($until, '');
        return \%killed;
    });
    my $killed = pop @told;
    is(sum0(values %{ $killed // {} }), 50, 'fifty were killed') or diag(explain($killed));
    for my $i (0 .. 3) {
        ok($told[$i], "client $i came to its end") or next;
        cmp_ok($told[$i]{pushed}, '>', 5, '... after some pushes');
        is($told[$i]{given_up}, 0, '... all of which succeeded, at most after repeats');
        cmp_ok($told[$i]{slowest}, '<', 20, '... and never hung');
        is_deeply([ grep { !/^503, / } keys %{ $told[$i]{refused} } ], [], '... failing cleanly in between')
            or diag(explain($told[$i]{refused}));
        is_whole($registry, "team/app$i", $told[$i], "client $i");
        note("client $i: $told[$i]{pushed} pushes, slowest $told[$i]{slowest} s; ", explain($told[$i]{refused}));
    }
    ok(wait_for(10, sub { $registry->children('worker') == $workers }), 'all workers are there again');
    is_status($registry->get('/healthz'), 200, 'the database can be used');
    ok(wait_for(5, sub { !$registry->files('uploads/body') }), 'no bodies are left');

    $registry->stop;
    my $again = Registry->start(dir => $registry->dir);
    is_whole($again, "team/app$_", $told[$_], "after a restart, client $_") for grep { $told[$_] } 0 .. 3;
};

subtest 'a killed keeper' => sub {
    my $registry = Registry->start(expected => $KILLED);
    for my $i (1 .. 3) {
        my ($keeper) = $registry->children('keeper');
        kill 'KILL', $keeper;
        ok(wait_for(10, sub { my ($new) = $registry->children('keeper'); $new && $new != $keeper }), 'is replaced');
        is_status($registry->push_blob('a/b', random_bytes(1000)), 201, '... and pushes go on');
    }
};

subtest 'a killed nginx' => sub {
    my $registry = Registry->start(expected => $KILLED);
    my $bytes    = random_bytes(100_000);
    $registry->push_blob('a/b', $bytes);
    my @workers = $registry->all_nginx_workers;
    kill 'KILL', $workers[0];
    ok(wait_for(10, sub { $registry->get('/v2/')->status == 200 }), 'a worker of it: it serves again');

    my $place = $registry->start_upload('a/b');
    my $half  = $registry->connect;
    $half->send($registry->head_of('PATCH', $place, headers => { 'Transfer-Encoding' => 'chunked' }));
    $half->send_chunk(random_bytes(500_000));
    ok(wait_for(5, sub { $registry->files('uploads/body') }), 'half an upload is under way');

    my ($master) = $registry->nginx_master;
    my @old = ($master, $registry->nginx_workers);
    kill 'KILL', $master;
    ok(wait_for(10, sub { $registry->get('/v2/')->status == 200 && $registry->nginx_master }), 'its master: it serves again');
    ok(wait_for(10, sub { !grep { alive($_) } @old }), '... and the old ones are gone');
    is_blob($registry, 'a/b', $bytes, '... with what was there');
    is_status($registry->push_blob('a/b', random_bytes(500_000)), 201, '... and pushes go on');
    is_status($registry->delete($place), 204, '... the upload can be given up');
    is_tidy($registry);
};

subtest 'a killed master' => sub {
    my $port     = free_port();
    my $registry = Registry->start(listen => [ '--listen', '127.0.0.1', '--port', $port ], expected => $KILLED);
    my $layer    = random_bytes(300_000);
    is_status($registry->push_image('a/b', 'v1', [$layer]), 201, 'an image is pushed');
    my $busy = $registry->connect;
    $busy->send($registry->head_of('PATCH', $registry->start_upload('a/b'), headers => { 'Transfer-Encoding' => 'chunked' }));
    $busy->send_chunk(random_bytes(500_000));
    my $idle = $registry->connect;

    my $started = time;
    $registry->crash;
    ok(wait_for(5, sub { !IO::Socket::INET->new(PeerHost => '127.0.0.1', PeerPort => $port, Timeout => 1) }), 'the port is free');
    cmp_ok(time - $started, '<', 3, '... soon') or diag('it took ' . (time - $started) . ' s');
    note('it took ', time - $started, ' s');
    ok(wait_for(5, sub { !$registry->processes }), 'nothing is left') or diag(map { command_of($_) . "\n" } $registry->processes);

    my $again = Registry->start(listen => [ '--listen', '127.0.0.1', '--port', $port ], dir => $registry->dir);
    is_blob($again, 'a/b', $layer, 'the same command runs again');
    is_status($again->get('/v2/a/b/manifests/v1'), 200, '... with its tags');
    ok(wait_for(10, sub { !$again->files('uploads/body') }), '... and without what nginx left')
        or diag(join "\n", $again->files('uploads'));
    is_status($again->push_blob('a/b', random_bytes(1000)), 201, '... for pushes, too');
};

subtest 'everything is killed at once, ten times' => sub {
    my ($told, $dir);
    my $until = tempdir() . '/end';
    my (@acknowledged, %tags);
    for my $round (1 .. 10) {
        my $registry = Registry->start(defined $dir ? (dir => $dir) : (), expected => $KILLED);
        $dir = $registry->dir;
        my @told = in_parallel(3, 30, sub ($i) {
            if ($i == 2) {
                sleep 0.2 + rand 0.4;
                kill 'KILL', $registry->pid, $registry->processes;
                spew("$until$round", '');
                return {};
            }
            my @done;
            my $pushed = 0;
            while (!-e "$until$round") {
                my $bytes = random_bytes(1000 + int rand 100_000);
                my $tag   = "r$round-c$i-" . $pushed++;
                my $response = $registry->with(timeout => 5)->push_image('a/b', $tag, [$bytes]);
                last if $response->status != 201;
                push @done, [ $tag, $response->header('Docker-Content-Digest'), digest($bytes) ];
            }
            return \@done;
        });
        ok($told[$_], "round $round: client $_ came to its end") for 0, 1;
        push @acknowledged, map { @{ $_ // [] } } @told[ 0, 1 ];
        wait_for(5, sub { !$registry->running && !$registry->processes });
    }
    my $registry = Registry->start(dir => $dir);
    cmp_ok(scalar @acknowledged, '>', 10, 'some images were acknowledged');
    my @lost;
    for my $image (@acknowledged) {
        my ($tag, $manifest, $layer) = @$image;
        my $response = $registry->get("/v2/a/b/manifests/$tag");
        push @lost, "$tag: " . $response->status if digest($response->content) ne $manifest;
        $response = $registry->get("/v2/a/b/blobs/$layer");
        push @lost, "$layer: " . $response->status if digest($response->content) ne $layer;
    }
    is_deeply(\@lost, [], 'all ' . @acknowledged . ' of them are whole');
    is_status($registry->get('/healthz'), 200, 'the database can be used');
};

finish();
