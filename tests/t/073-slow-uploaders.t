# A thousand clients that send 1 KiB a second hold up nobody, and a thousand chunks of one upload take no longer in the end
# than in the beginning.
#
# REGISTRY_CHUNKS is how many chunks (1000).
use v5.36;
use Registry limit => 240;
use Registry::Checks;
use Registry::Tools;
use Digest::SHA ();
use Test::More;
use Time::HiRes qw(sleep time);

my $SLOW     = 1000;
my $groups   = 4;      # processes, so that the usual limit of open files will do
my $registry = Registry->start(args => [ '--max-uploads', 0 ]);
my $layer    = random_bytes(2000);
is_status($registry->push_image('team/app', 'v1', [$layer]), 201, 'an image');
my @paths = ('/v2/team/app/manifests/v1', '/v2/team/app/blobs/' . digest($layer), '/v2/team/app/tags/list', '/v2/');

# Small requests for a while, one after the other: how long the slowest but one in a hundred took, and the answers.
sub small_requests ($seconds) {
    my $connection = $registry->connect;
    my ($end, $i, @times, %statuses) = (time + $seconds, 0);
    while (time < $end || @times < 300) {
        my $at = time;
        $statuses{ $registry->get($paths[ $i++ % @paths ], on => $connection)->status }++;
        push @times, time - $at;
        sleep 0.005;
    }
    @times = sort { $a <=> $b } @times;
    return ($times[ @times * 0.99 ], \%statuses);
}

# ---- a thousand slow ones ----

# One group: its uploads begin, then each gets a KiB a second until the file is gone; then they end. How many came to a good end.
sub upload_slowly ($group, $go) {
    my $piece  = chr(ord('a') + $group) x 1024;
    my $client = $registry->connect;
    my @open;
    for (1 .. $SLOW / $groups) {
        my $begun      = $registry->post('/v2/team/app/blobs/uploads/', body => '', on => $client);
        my $place      = $registry->place_of($begun);
        my $connection = $registry->connect // die "no connection\n";
        $connection->send($registry->head_of('PATCH', $place, headers => { 'Transfer-Encoding' => 'chunked' }))
            && $connection->send_chunk($piece) or die "not sent\n";
        push @open, [ $connection, $place ];
    }
    spew("$go.$group", '');
    my $rounds = 1;
    while (-e $go) {
        my $next = time + 1;
        for my $i (0 .. $#open) {
            $open[$i][0]->send_chunk($piece) or die "an upload was cut off\n";
            my $left = $next - time;
            sleep $left / (@open - $i) if $left > 0;
        }
        $rounds++;
    }
    $_->[0]->send_chunk('') for @open;
    my $digest = digest($piece x $rounds);
    my $good   = grep { ($_->[0]->response('PATCH')->header('Range') // '') eq '0-' . ($rounds * 1024 - 1) } @open;
    my $ends   = grep { $registry->put($registry->with_digest($_->[1], $digest), body => '', on => $client)->status == 201 } @open;
    return [ $good, $ends, $rounds ];
}

subtest 'a thousand clients at 1 KiB a second' => sub {
    my ($alone, $statuses) = small_requests(2);
    is_deeply([ keys %$statuses ], [200], 'small requests, with nobody else there');
    my $go    = spew(tempdir() . '/go', '');
    my @ended = in_parallel($groups + 1, 150, sub ($i) {
        return upload_slowly($i, $go) if $i < $groups;
        my $all = wait_for(60, sub { $groups == grep { -e "$go.$_" } 0 .. $groups - 1 });
        my ($with, $seen) = eval { small_requests(5) };
        my $pushed = $all && $registry->with(timeout => 10)->push_blob('team/app', random_bytes(300_000))->status;
        unlink $go;
        return [ $all, $with, $seen, $pushed ];
    });
    my ($all, $with, $seen, $pushed) = @{ pop(@ended) // [] };
    ok($all, 'all of them are under way');
    is_deeply($seen, { 200 => (values %{ $seen // {} })[0] }, 'small requests are answered meanwhile');
    is($pushed, 201, 'somebody quick pushes meanwhile');
    # A machine that does much else has its own pauses; one slow client in the way would be seconds.
    cmp_ok($with // 99, '<', 0.1 + 10 * $alone, sprintf 'the slowest in a hundred takes %.1f ms, and %.1f ms without them',
        1000 * ($with // 99), 1000 * $alone);
    my ($good, $ends) = (0, 0);
    for my $group (@ended) { $good += $group->[0] // 0; $ends += $group->[1] // 0 }
    is($good, $SLOW, 'each gets his 202, with all that he sent');
    is($ends, $SLOW, '... and his 201');
    is_tidy($registry);
};

# ---- a thousand chunks ----

subtest 'a thousand chunks of 1 MiB' => sub {
    my $chunks     = $ENV{REGISTRY_CHUNKS} // 1000;
    my $sha        = Digest::SHA->new(256);
    my $block      = random_bytes(1 << 20);
    my $place      = $registry->start_upload('team/app');
    my $connection = $registry->connect;
    my (@times, $bad);
    for my $i (0 .. $chunks - 1) {
        substr $block, 0, 8, pack 'Q>', $i;
        $sha->add($block);
        my $range = ($i << 20) . '-' . ((($i + 1) << 20) - 1);
        my $at    = time;
        my $response = $registry->patch($place, body => $block, on => $connection, headers => { 'Content-Range' => $range });
        push @times, time - $at;
        $bad = $response if $response->status != 202 || $response->header('Range') ne '0-' . ((($i + 1) << 20) - 1);
        last if $bad;
    }
    ok(!$bad, 'each is taken') or diag($bad->describe);
    # Of each end the middle one: a pause of the disk hits some chunks, what grows with the upload hits all.
    my $middle = sub (@some) { return (sort { $a <=> $b } @some)[ @some / 2 ] };
    my $n      = $chunks >= 200 ? 100 : $chunks / 2;
    my ($first, $last) = ($middle->(@times[ 0 .. $n - 1 ]), $middle->(@times[ -$n .. -1 ]));
    cmp_ok($last, '<', 0.01 + 3 * $first, sprintf 'the last ones take %.1f ms, the first ones %.1f ms', 1000 * $last, 1000 * $first);
    my $digest = 'sha256:' . $sha->hexdigest;
    is_status($registry->put($registry->with_digest($place, $digest), body => ''), 201, 'the digest of all is right');
    is_status($registry->head("/v2/team/app/blobs/$digest"), 200, 'all of it is there', 'Content-Length' => $chunks << 20);
    is_tidy($registry);
};

finish();
