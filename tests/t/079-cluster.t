# Several servers of one database and one directory of blobs, behind a load balancer that sends each request to another one:
# clients, hooks, events and garbage are as with one server, also when one of them is killed.
# REGISTRY_TEST_SECONDS: how long pushes race against collection (8).
use v5.36;
use Registry limit => 400;
use Registry::Checks;
use Registry::Layers;
use Registry::Listener;
use Registry::Nodes;
use Registry::Tools;
use JSON::PP qw(decode_json);
use Test::More;
use Time::HiRes qw(sleep time);

skip_or_fail($_) for Registry::Nodes->missing // ();

my $SECONDS = $ENV{REGISTRY_TEST_SECONDS} // 8;
my $work    = tempdir();
chmod 0777, $work or die "chmod: $!";
spew("$work/runs", '');
chmod 0666, "$work/runs" or die "chmod: $!";
spew("$work/hook", <<"END");
#!/bin/sh
echo "begin \$REGISTRY_REPOSITORY:\$REGISTRY_TAG \$\$" >> $work/runs
while [ -e $work/hold ]; do sleep 0.1; done
echo "end \$REGISTRY_REPOSITORY:\$REGISTRY_TAG \$\$" >> $work/runs
END
chmod 0755, "$work/hook" or die "chmod: $!";

my $any = Registry::Nodes->start(
    2,
    expected => qr/signal 9|signal=9|database|left in connection|aborting|upstream|Connection refused|doesn't lead|may not lead|prematurely/,
    user     => 'ann:secret',
    args     => [ '--user', 'ann:secret', '--on-tag', "$work/hook", '--lease', '2s', '--gc-interval', '1s', '--history-keep', '0' ],
);
my @nodes = $any->all;

sub nodes_of ($i) { return @{ decode_json($any->command($i, 'stat', '--json')->{out})->{nodes} // [] } }

# The number of the one that leads.
sub leader () {
    my ($found) = grep { my $i = $_; ($any->all)[$i]->running && grep { $_->{self} && $_->{leads} } nodes_of($i) } 0, 1;
    return $found;
}
sub runs ()        { return map { s/ \d+$//r } split /\n/, slurp("$work/runs") }
sub wanted (@tags) { return map { ("begin $_", "end $_") } @tags }

ok(wait_for(30, sub { grep({ $_->{state} eq 'alive' } nodes_of(0)) == 2 }), 'two servers run');
ok(wait_for(30, sub { defined leader() }), 'one of them leads');

subtest 'pushes and pulls' => sub {
    my @listeners = map { Registry::Listener->open($_, query => '?type=tag') } @nodes;
    ok(Registry::Listener->wait_all(20, sub ($l) { $l->status == 200 }, @listeners), 'somebody listens on each');
    my @told = in_parallel(3, 120, sub ($i) {
        my @statuses;
        for my $n (1 .. 5) {
            my @layers = map { random_bytes(30_000) } 1 .. 2;
            push @statuses, $any->push_image("team/r$i", "t$n", \@layers, way => (qw(patch put post))[ $n % 3 ])->status;
            push @statuses, $any->get("/v2/team/r$i/blobs/" . digest($_))->content eq $_ ? 200 : 0 for @layers;
        }
        return \@statuses;
    });
    is_deeply([ map { @{ $_ // [] } } @told ], [ map { (201, 200, 200) } 1 .. 15 ], 'each push and each pull succeeds');
    for my $i (0 .. 2) {
        is_deeply($_->get("/v2/team/r$i/tags/list")->json->{tags}, [ map { "t$_" } 1 .. 5 ], "both have the tags of r$i") for @nodes;
    }
    ok(wait_for(60, sub { grep({ /^end/ } runs()) >= 15 }), 'the hooks run');
    for my $i (0 .. 2) {
        is_deeply([ grep { m{team/r$i:} } runs() ], [ wanted(map { "team/r$i:t$_" } 1 .. 5) ], "... once and in order for r$i");
    }
    ok(Registry::Listener->wait_all(20, sub ($l) { $l->events >= 15 }, @listeners), 'both listeners hear of all tags');
    is_deeply([ map { $_->{seq} } $listeners[0]->events ], [ map { $_->{seq} } $listeners[1]->events ], '... and of the same');
    is(scalar(() = join('', map { $_->output } @nodes) =~ /team\/r\d:t\d/g) > 0, 1, 'lines are printed');
    $_->close for @listeners;
};

subtest 'tokens' => sub {
    my $token = $nodes[0]->get('/v2/_token?service=docker-registry-server&scope=repository:team/r0:pull')->json->{token};
    ok($token, 'one is given here');
    is_status($nodes[1]->with(user => undef)->get('/v2/team/r0/tags/list', headers => { Authorization => "Bearer $token" }), 200, '... and good there');
};

subtest 'looking into images' => sub {
    my $layer = gzip_layer(tar_of('f etc/motd hello'));
    push_layers($any, 'team/seen', 'v1', $layer);
    my $path = '/v2/team/seen/_image/v1/blobs/etc/motd';
    for my $i (0, 1) {
        ok(wait_for(30, sub { $nodes[$i]->get($path)->status == 200 }), "is shown by node $i");
        is($nodes[$i]->get($path)->content, 'hello', '... whole');
    }
    is_deeply([ map { $_->files('index') } @nodes ], [], 'no node has an index for itself');
};

subtest 'deletion and garbage' => sub {
    my $bytes = random_bytes(40_000);
    my $made  = $any->push_image('team/gone', 'v1', [$bytes]);
    is_status($made, 201, 'an image');
    my ($hex) = digest($bytes) =~ /:(.*)/;
    my $files = sub () { return glob $any->blobs . '/sha256/' . substr($hex, 0, 2) . "/$hex.*" };
    is(scalar(my @there = $files->()), 1, '... whose layer is in the shared directory');
    is_status($any->delete('/v2/team/gone/manifests/' . $made->header('Docker-Content-Digest')), 202, 'is deleted');
    is_status($_->get('/v2/team/gone/manifests/v1'), 404, '... everywhere') for @nodes;
    ok(wait_for(30, sub { my @left = $files->(); !@left }), 'and its layer is collected');
};

subtest 'pushes race against collection' => sub {
    my @layers = map { random_bytes(5000) } 1 .. 3;
    my $until  = time + $SECONDS;
    my @told   = in_parallel(5, 60 + $SECONDS, sub ($i) {
        my ($good, @wrong) = (0);
        for (my $n = 0; time < $until; $n++) {
            my $to = $nodes[ ($i + $n) % 2 ];
            if ($i == 4) { # deletes
                for my $r (0 .. 3) {
                    my $digest = $to->head("/v2/race/r$r/manifests/t")->header('Docker-Content-Digest') // next;
                    $to->delete("/v2/race/r$r/manifests/$digest");
                }
                sleep 0.3;
                next;
            }
            my $made = $to->push_image("race/r$i", 't', \@layers, note => "$i $n", way => (qw(patch put post))[ $n % 3 ]);
            next if $made->status != 201;
            $good++;
            # Either it is whole, or the deletion came.
            my $from = $nodes[ $n % 2 ];
            for my $layer (@layers) {
                my $got = $from->get("/v2/race/r$i/blobs/" . digest($layer));
                next if $got->status == 200 && $got->content eq $layer;
                my $still = $from->get("/v2/race/r$i/manifests/" . $made->header('Docker-Content-Digest'));
                my $again = $from->get("/v2/race/r$i/blobs/" . digest($layer));
                push @wrong, "r$i: " . $got->status . ' ' . $again->status if $still->status == 200 && $again->status != 200;
            }
        }
        return { good => $good, wrong => \@wrong };
    });
    cmp_ok($_->{good}, '>', 0, 'pushes succeed') for @told[ 0 .. 3 ];
    is_deeply([ map { @{ $_->{wrong} } } @told ], [], 'and what was acknowledged is whole until it is deleted');
};

# Pushes images until the file is there; a refused push is repeated. Returns the tags that were acknowledged.
sub push_until ($repository, $until) {
    my @tags;
    for (my $n = 1; !-e $until; $n++) {
        my @layers = map { random_bytes(20_000) } 1 .. 2;
        my $status;
        for (1 .. 100) {
            last if ($status = $any->push_image($repository, "t$n", \@layers)->status) == 201;
            sleep 0.2;
            last if -e $until;
        }
        push @tags, "t$n" if $status == 201;
    }
    return \@tags;
}

subtest 'a node dies while clients push' => sub {
    my $which = 1 - leader();
    my ($leader, $other) = @nodes[ 1 - $which, $which ];
    my $until = "$work/over";
    my ($killer, @told) = in_parallel(3, 120, sub ($i) {
        return push_until("dies/r$i", $until) if $i > 0;
        sleep 2;
        kill 'KILL', $other->pid;
        sleep 3;
        spew($until, '');
        return 1;
    });
    $other->crash;
    for my $i (1, 2) {
        my %there = map { $_ => 1 } @{ ($leader->get("/v2/dies/r$i/tags/list")->json // {})->{tags} // [] };
        my @tags  = @{ $told[ $i - 1 ] };
        cmp_ok(scalar @tags, '>', 2, "pushes to r$i were acknowledged");
        is_deeply([ grep { !$there{$_} } @tags ], [], '... and none is lost');
        for my $tag (@tags) {
            my $manifest = $leader->get("/v2/dies/r$i/manifests/$tag")->json;
            my @lost     = grep { $leader->get("/v2/dies/r$i/blobs/$_->{digest}")->status != 200 } @{ $manifest->{layers} };
            is(scalar @lost, 0, "$tag is whole") if @lost;
        }
    }
    $nodes[$which] = $any->revive($which);
    ok(wait_for(30, sub { $nodes[$which]->get('/readyz')->status == 200 }), 'it comes back');
};

subtest 'the leader dies while a hook runs' => sub {
    ok(wait_for(60, sub { !grep({ /^begin/ } runs()) || grep({ /^begin/ } runs()) == grep({ /^end/ } runs()) }), 'no hook runs');
    my $which = 1 - leader();
    my ($leader, $other) = @nodes[ 1 - $which, $which ];
    spew("$work/hold", '');
    is_status($other->push_image('hooks/app', 'h1', [ random_bytes(100) ]), 201, 'a tag');
    ok(wait_for(30, sub { grep { $_ eq 'begin hooks/app:h1' } runs() }), 'its hook begins');
    is_status($other->push_image('hooks/app', 'h2', [ random_bytes(100) ]), 201, 'another tag');
    $leader->crash;
    unlink "$work/hold";
    ok(wait_for(60, sub { (leader() // -1) == $which }), 'the other node leads');
    ok(wait_for(60, sub { grep { $_ eq 'end hooks/app:h2' } runs() }), 'the hooks run');
    my @of = grep { m{hooks/app} } runs();
    is_deeply([ @of[ -4 .. -1 ] ], [ wanted('hooks/app:h1', 'hooks/app:h2') ], '... in order, on the new leader');
    is($of[0], 'begin hooks/app:h1', '... after the one that was cut');
    is_status($other->push_image('hooks/app', 'h3', [ random_bytes(100) ]), 201, 'and all goes on');
};

my ($left) = grep { $nodes[$_]->running } 0, 1;
my $fsck = $any->command($left, 'fsck', '--rate', '0');
like($fsck->{out}, qr/: 0 findings, 0 repaired$/m, 'fsck finds nothing') or diag($fsck->{out} . $fsck->{err});
finish();
