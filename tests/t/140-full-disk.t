# A full disk refuses pushes and nothing else; what was acknowledged stays, and with room all goes on by itself.
use v5.36;
use Registry limit => 240;
use Registry::Checks;
use Registry::Process;
use Registry::Tools;
use Test::More;
use Time::HiRes qw(sleep time);

use constant MiB => 1 << 20;

# A file system of its own.
my $disk = tempdir() . '/disk';
my $mounted;
END { run([ 'umount', $disk ]) if $mounted && $$ == $mounted }
mkdir $disk or die "$disk: $!";
skip_or_fail('mounting takes root') if !is_root();
$mounted = $$ if run([ 'mount', '-t', 'tmpfs', '-o', 'size=300m,mode=755', 'registry-test', $disk ])->{exit} == 0;
skip_or_fail('no file system can be mounted here') if !$mounted;

# What the log has to say then, and of workers that are killed here.
my $FULL = qr/No space left|disk is full|no room on the disk|disk has room again|berkeley db|giving up|signal=9|recovering |upstream|checkpoint failed|written only/;

sub free_bytes () { return (split ' ', (split /\n/, run([ 'df', '-B1', $disk ])->{out})[1])[3] }

# Somebody else's file takes all but so many bytes: of those that are free now, and none that get free meanwhile, which
# are the ballast.
sub fill ($left) {
    my $n = free_bytes() - $left;
    return if $n <= 0;
    open my $out, '>>', "$disk/beside" or die "beside: $!";
    return if run([ 'fallocate', '-l', $n + -s $out, "$disk/beside" ])->{exit} == 0;
    while ($n > 0) {
        my $written = syswrite $out, "\0" x ($n > MiB ? MiB : $n) or last;
        $n -= $written;
    }
    return;
}

sub make_room () { unlink "$disk/beside"; return }

sub is_full ($response, $name) {
    is_error($response, 503, 'UNAVAILABLE', $name);
    like($response->header('Retry-After') // '', qr/^\d+$/, '... to be repeated later');
    return;
}

# Everything that was acknowledged: [ tag, manifest's digest, layer's digest ].
my @images;

sub push_one ($registry, $bytes) {
    my $tag   = 't' . @images;
    my $layer = random_bytes($bytes);
    my $response = $registry->push_image('a/b', $tag, [$layer], way => (qw(patch put post))[ @images % 3 ]);
    push @images, [ $tag, $response->header('Docker-Content-Digest'), digest($layer) ] if $response->status == 201;
    return $response;
}

sub all_is_there ($registry, $name, @some) {
    my @lost;
    my $connection = $registry->connect;
    for my $image (@some ? @some : @images) {
        my ($tag, $manifest, $layer) = @$image;
        my $response = $registry->get("/v2/a/b/manifests/$tag", on => $connection);
        push @lost, "$tag: " . $response->status if digest($response->content) ne $manifest;
        $response = $registry->get("/v2/a/b/blobs/$layer", on => $connection);
        push @lost, "$layer: " . $response->status if digest($response->content) ne $layer;
    }
    my $tags = $registry->get('/v2/a/b/tags/list')->json;
    push @lost, 'tags' if !@some && @{ $tags->{tags} // [] } < @images;
    ok(!@lost, $name) or diag(join "\n", splice @lost, 0, 10);
    return;
}

my $registry = Registry->start(dir => "$disk/data", expected => $FULL);
my $pid      = $registry->pid;
is(push_one($registry, 1000)->status, 201, 'with room an image is pushed');
ok(wait_for(5, sub { -e "$disk/data/db/reserve" }), 'the server puts something by');

subtest 'the disk is filled by pushes, ten times' => sub {
    for my $round (1 .. 10) {
        fill(40 * MiB);
        my $before = @images;
        my $response;
        my $begin = time;
        do { $response = push_one($registry, 100_000 + int rand 2 * MiB) }
            until $response->status != 201 || time - $begin > 20;
        is_full($response, "round $round: after " . (@images - $before) . ' images the next is refused');
        cmp_ok(@images - $before, '>', 0, '... and not before');
        all_is_there($registry, '... reads go on', @images[ -1, 0 ]);
        make_room();
        is_status($registry->get('/healthz'), 200, '... with room the server is well');
        is(push_one($registry, 1000)->status, 201, '... and the next push succeeds at once');
    }
    ok(wait_for(5, sub { !$registry->files('uploads/body') }), 'no bodies are left')
        or diag(join "\n", $registry->files('uploads'));
    all_is_there($registry, 'all ' . @images . ' images are whole');
};

subtest 'a body that turns out to be too large' => sub {
    fill(60 * MiB);
    my $place = $registry->start_upload('a/b');
    my $block  = random_bytes(MiB);
    my $left   = 100;
    my $blocks = sub { return $left-- > 0 ? $block : undef };
    is_full($registry->patch($place, body => $blocks, length => 100 * MiB, expect => 1), 'announced: it is refused');
    $left = 100;
    my $response = $registry->patch($place, body => $blocks, chunked => 1);
    is_full($response, 'unannounced: it is refused when there is no room for more');
    ok(wait_for(5, sub { free_bytes() > 50 * MiB }), '... and its bytes are gone') or diag(free_bytes());
    is_status($registry->get($place), 204, '... the upload is as it was', Range => '0-0');
    is_status($registry->patch($place, body => 'x' x 1000, chunked => 1), 202, '... and takes what fits');
    make_room();
    is_status($registry->put($registry->with_digest($place, digest('x' x 1000)), body => ''), 201, 'it can be finished');
    ok(wait_for(5, sub { !$registry->files('uploads/body') }), 'no bodies are left');
};

# Until the database has to be recovered: after twenty who died outside of it, too.
sub kill_many ($registry) {
    my $before = $registry->logged(qr/recovering the database/);
    return wait_for(30, sub {
        kill 'KILL', $registry->children('worker');
        return $registry->logged(qr/recovering the database/) > $before;
    });
}

subtest 'not a byte is left' => sub {
    my $place = $registry->start_upload('a/b');
    my $old   = random_bytes(MiB);
    is($registry->push_image('free/me', $_, [ $old, random_bytes(MiB) ])->status, 201, "free/me:$_") for 'v1' .. 'v4';
    my $image = $registry->get('/v2/free/me/manifests/v2')->header('Docker-Content-Digest');
    ok(wait_for(20, sub { -e "$disk/data/db/reserve" }), 'there is something put by again');
    fill(0);
    ok(free_bytes() < 8192 || !-e "$disk/data/db/reserve", 'somebody takes the last one');
    is_full(push_one($registry, 1000), 'pushes are refused');
    is_status($registry->get('/healthz'), 503, '/healthz says so', 'Retry-After' => qr/./);
    # That is written down too: with the ballast, once the keeper has given it up.
    ok(wait_for(15, sub { $registry->delete($place)->status == 204 }), '... an upload can be given up');
    # Who has to make room can do it, with what was put by.
    is_status($registry->delete('/v2/free/me/manifests/v1'), 202, '... a tag can be deleted');
    is_status($registry->delete("/v2/free/me/manifests/$image"), 202, '... and a manifest');
    my @run = map { Registry->try([ @$_, '--dir', "$disk/data" ], timeout => 60) }
        [ 'tag', 'rm', 'free/me:v3' ], [ 'gc', '--untagged', '0s' ], [ 'repo', 'rm', 'free/me', '--now' ], ['gc'];
    is($_->{exit}, 0, '... by a command as well') or diag($_->{err}) for @run;
    ok(wait_for(30, sub { !$registry->blob_files(digest($old)) }), '... and the bytes are free');
    all_is_there($registry, '... all can be read');

    ok(kill_many($registry), 'the database must be recovered');
    ok(wait_for(30, sub { $registry->get('/v2/a/b/tags/list')->status == 200 }), '... and is, with what was put by');
    like($registry->get('/healthz')->content, qr/disk is full/, '... /healthz says what is still wrong');
    all_is_there($registry, '... all can be read');
    is_full(push_one($registry, 1000), '... pushes are still refused');
};

# Takes every byte that gets free, as long as it lives.
sub take_all () {
    my $pid = fork // die "fork: $!";
    return $pid if $pid;
    open my $out, '>>', "$disk/beside" or POSIX::_exit(1);
    while (1) { syswrite $out, "\0" x 65536 or sleep 0.001 }
}

subtest 'what was put by goes as well, and whatever gets free' => sub {
    my $taker = take_all();
    ok(kill_many($registry), 'the database must be recovered');
    ok(wait_for(30, sub { $registry->logged(qr/waiting for room/) }), '... and cannot be');
    sleep 6;
    is_status($registry->with(timeout => 10)->get('/healthz'), 503, '/healthz says so, without waiting for room', 'Retry-After' => qr/./);
    is_full($registry->get('/v2/a/b/tags/list'), 'so does everything else');
    my @errors = $registry->logged(qr/level=error/);
    cmp_ok(scalar @errors, '<=', 12, '... and the log a few times') or diag(@errors);
    ok(!grep({ /berkeley db|PANIC/ } @errors), '... in words of our own') or diag(@errors);
    ok(!grep({ /disk is full: (?:nothing|waiting)/ && !/ free=\d+ needed=\d+$/ } @errors), '... with the room that it needs');
    kill 'KILL', $taker;
    waitpid $taker, 0;
    make_room();
    ok(wait_for(20, sub { $registry->get('/healthz')->status == 200 }), 'with room it works again by itself');
    ok($registry->running && $registry->pid == $pid, '... without a restart');
    is(push_one($registry, 1000)->status, 201, '... pushes, too');
    all_is_there($registry, '... and nothing is lost');
};

subtest 'a start on a full disk' => sub {
    ok(wait_for(5, sub { -e "$disk/data/db/reserve" }), 'there is something put by again');
    $registry->stop;
    fill(0);
    $registry = Registry->start(dir => "$disk/data", expected => $FULL);
    all_is_there($registry, 'what is there can be read');
    is_full(push_one($registry, 1000), 'pushes are refused');
    make_room();
    is(push_one($registry, 1000)->status, 201, 'with room they go on');
    $registry->stop;
};

finish();
