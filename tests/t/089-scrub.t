# Damage is found by the registry itself, a few blobs each day, and told; pushes and deletions beside fsck are no
# findings; and a byte that is flipped anywhere is found, or harms nothing.
use v5.36;
use Registry limit => 170;
use Registry::Checks;
use Registry::Clients;
use Registry::Images;
use Registry::Tools;
use Digest::SHA qw(sha256_hex);
use Test::More;
use Time::HiRes qw(sleep);

sub fsck ($dir, @args) { return Registry->try([ 'fsck', '--dir', $dir, '--rate', '0', @args ], timeout => 60) }

sub file_of ($registry, $bytes) {
    my $hex = digest($bytes) =~ s/sha256://r;
    my ($path) = glob $registry->dir . '/layers/sha256/' . substr($hex, 0, 2) . "/$hex.*";
    return $path;
}

# Blobs are read in the order of their digests: those that begin with zeros in the first seconds of a day.
sub early_bytes ($i) {
    for (my $n = 0; ; $n++) {
        my $bytes = "early $i $n " x 50;
        return $bytes if sha256_hex($bytes) =~ /^0000/;
    }
}

subtest 'the keeper reads blobs' => sub {
    my ($bad, $gone, $good) = map { early_bytes($_) } 1 .. 3;
    my $registry = Registry->start(args => [ '--scrub-days', '0' ]);
    is_status($registry->push_image('team/app', 'v1', [ $bad, $gone, $good ]), 201, 'an image');
    flip(file_of($registry, $bad), 20);
    unlink file_of($registry, $gone) or die $!;
    sleep 2;
    is(scalar($registry->logged(qr/is damaged/)), 0, 'with --scrub-days 0 nobody looks');
    $registry->stop;

    my $seen = tempdir();
    chmod 0777, $seen;
    my @args = (dir => $registry->dir, args => [ '--scrub-days', '1', '--on-damage', qq{echo "\$REGISTRY_EVENT \$1 \$2 \$REGISTRY_REPOSITORY \$REGISTRY_DIGEST" >>$seen/told} ], expected => qr/a blob is damaged/);
    $registry = Registry->start(@args);
    my $lines = sub { return $registry->logged(qr/level=error msg="a blob is damaged/) };
    ok(wait_for(20, sub { $lines->() == 2 }), 'two are damaged') or diag($registry->log);
    is(scalar(grep { /blob=\Q@{[ digest($bad) ]}\E why="its file has another digest"/ } $lines->()), 1, '... one has another digest');
    is(scalar(grep { /blob=\Q@{[ digest($gone) ]}\E why="its file is missing"/ } $lines->()), 1, '... one is missing');
    ok(wait_for(10, sub { -e "$seen/told" && 2 == (() = slurp("$seen/told") =~ /\n/g) }), 'the hook damage runs for each');
    is_deeply([ sort split /\n/, slurp("$seen/told") ], [ sort map { "damage @{[ digest($_) ]} team/app team/app @{[ digest($_) ]}" } $bad, $gone ], '... and is told which');
    my $events = run([ 'curl', '-sS', '--max-time', '6', '-N', 'http://127.0.0.1:' . $registry->port . '/v1/events?since=0&type=damage' ])->{out};
    is(() = $events =~ /"type":"damage"/g, 2, 'the event stream tells of them');
    is_status($registry->get('/v2/team/app/blobs/' . digest($bad)), 200, 'nothing is repaired by itself');
    $registry->stop;
    $registry = Registry->start(@args);
    sleep 3;
    is(scalar($lines->()), 0, 'after a restart nothing is told again');
    is(() = slurp("$seen/told") =~ /\n/g, 2, '... to nobody');

    my $ran = fsck($registry->dir);
    is($ran->{exit}, 1, 'fsck');
    like($ran->{out}, qr/^blob-damaged \Q@{[ digest($_) ]}\E: found by the keeper at \d{4}-/m, '... lists it') for $bad, $gone;
    fsck($registry->dir, '--repair');
    is_status($registry->push_image('team/app', 'v1', [ $bad, $gone, $good ]), 201, 'after a repair, a push');
    is_blob($registry, 'team/app', $_, '... heals it') for $bad, $gone, $good;
    is_sound($registry);
    $registry->stop;
};

subtest 'a client heals an image' => sub {
    plan skip_all => 'needs skopeo' if !find_program('skopeo');
    my $tmp      = tempdir();
    my $registry = Registry->start;
    my $address  = '127.0.0.1:' . $registry->port;
    my $layer    = cheap_bytes(200_000);
    is_status($registry->push_image('team/app', 'v1', [ $layer, random_bytes(1000) ]), 201, 'an image');
    works(run([ 'skopeo', 'copy', '-q', '--src-tls-verify=false', "docker://$address/team/app:v1", "dir:$tmp/image" ]), 'somebody has it');
    flip(file_of($registry, $layer), 100_000);
    isnt(run([ 'skopeo', 'copy', '-q', '--src-tls-verify=false', "docker://$address/team/app:v1", "dir:$tmp/bad" ])->{exit}, 0, 'a client refuses a damaged layer');
    is(fsck($registry->dir, '--repair')->{exit}, 1, 'a repair');
    isnt(run([ 'skopeo', 'copy', '-q', '--src-tls-verify=false', "docker://$address/team/app:v1", "dir:$tmp/none" ])->{exit}, 0, 'then it is missing');
    works(run([ 'skopeo', 'copy', '-q', '--dest-tls-verify=false', "dir:$tmp/image", "docker://$address/team/app:v1" ]), 'a push');
    works(run([ 'skopeo', 'copy', '-q', '--src-tls-verify=false', "docker://$address/team/app:v1", "dir:$tmp/good" ]), '... and a pull');
    is_sound($registry);
    $registry->stop;
} if find_program('skopeo');

subtest 'beside pushes and deletions' => sub {
    my $registry = Registry->start(args => [ '--lease', '1s', '--gc-interval', '1s', '--history-keep', '2s' ]);
    my @layers   = map { random_bytes(500) } 1 .. 6;
    my @answers  = in_parallel(4, 60, sub ($i) {
        if ($i == 0) {
            my @bad = grep { $_->{exit} } map { fsck($registry->dir) } 1 .. 4;
            return join '', map { $_->{out} . $_->{err} } @bad;
        }
        for my $round (1 .. 20) {
            my ($name, $tag) = ('r/' . $round % 5, 't' . $round % 3);
            $registry->push_image($name, $tag, [ $layers[ ($round + $i) % 6 ], random_bytes(100) ]);
            $registry->delete("/v2/$name/manifests/$tag") if $round % 3 == 0;
            my $upload = $registry->start_upload($name);
            $registry->delete($upload) if $upload && $round % 2;
        }
        return '';
    });
    is_deeply(\@answers, [ ('') x 4 ], 'fsck finds nothing');
    is_sound($registry, '... nor afterwards');
    $registry->stop;
};

subtest 'a flipped byte anywhere' => sub {
    my $seed = $ENV{REGISTRY_TEST_SEED} // int rand 1e9;
    diag("REGISTRY_TEST_SEED=$seed");
    srand $seed;
    my $registry = Registry->start(args => [ '--scrub-days', '0' ]);
    my %images   = map { ("r/$_" => [ random_bytes(3000), random_bytes(200) ]) } 1 .. 6;
    $registry->push_image($_, 'v1', $images{$_}) for sort keys %images;
    ok(wait_for(20, sub { $registry->files('index') >= 12 }), 'all is indexed');
    $registry->stop;
    # A start writes all pages.
    Registry->start(dir => $registry->dir, args => [ '--scrub-days', '0' ])->stop;
    my $found = 0;
    for my $round (1 .. 7) {
        my $dir = tempdir() . '/data';
        chmod 0755, $dir =~ s{/data$}{}r;
        system('cp', '-a', $registry->dir, $dir) == 0 or die 'cp';
        my @files = sort grep { -s && !m{/(?:__db\.\d+|reserve|lock|format)$} } glob("$dir/db/*"), glob("$dir/{layers,index}/*/*/*");
        my $file  = $files[ rand @files ];
        my ($at, $mask) = (int(rand -s $file), chr(1 << int rand 8));
        # A log is mostly empty.
        $at = int rand 60_000 if $file =~ m{/log\.};
        flip($file, $at, $mask);
        my $what = sprintf 'byte %d of %s', $at, $file =~ s{^\Q$dir\E/}{}r;
        my $ran  = fsck($dir);
        if ($ran->{exit}) {
            $found++;
            my ($name) = $file =~ m{/(?:__dbq\.)?([^/.]+)[^/]*$};    # __dbq.event.0 is a part of event
            like($ran->{out}, qr/\Q$name\E|db\/log/, "$what: is named") or diag($ran->{out} . $ran->{err});
            next;
        }
        my $again = Registry->start(dir => $dir, args => [ '--scrub-days', '0' ]);
        my @bad   = grep { $again->get("/v2/$_/manifests/v1")->status != 200 } sort keys %images;
        push @bad, grep { my $name = $_; grep { $again->get("/v2/$name/blobs/" . digest($_))->content ne $_ } @{ $images{$name} } } sort keys %images;
        is_deeply(\@bad, [], "$what: harms nothing");
        $again->stop;
    }
    cmp_ok($found, '>', 0, 'some were found');
};
finish();
