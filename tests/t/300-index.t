# Each layer is indexed once, in the background, after a push; the hook tells when an image is done.
use v5.36;
use Registry limit => 120;
use Registry::Checks;
use Registry::Tools;
use Registry::V1;
use IO::Compress::Gzip qw(gzip $GzipError);
use Test::More;
use Time::HiRes qw(sleep time);

sub gzipped (@files) {
    my $tar = Registry::V1::tar_of(@files);
    gzip(\$tar, \my $layer, -Minimal => 1) or die $GzipError;
    return $layer;
}
sub hex_of ($bytes)       { return digest($bytes) =~ s/^sha256://r }
sub id12 ($hex)           { return substr $hex, 0, 12 }
sub index_of ($registry, $layer) {
    my $hex = hex_of($layer);
    return $registry->dir . '/index/sha256/' . substr($hex, 0, 2) . "/$hex";
}
sub lines ($registry, $pattern) { return scalar grep { $_ =~ $pattern } split /\n/, $registry->output }
sub told ($registry, $id, $times = 1) {
    my $pattern = qr/^\Q${\ id12($id)}\E - indexed layer data$/;
    wait_for(30, sub { lines($registry, $pattern) >= $times });
    return lines($registry, $pattern);
}

my $registry = Registry->start(args => [
    '--on-index', 'echo "hook $1 about=$2 repository=$REGISTRY_REPOSITORY digest=$REGISTRY_DIGEST actor=$REGISTRY_ACTOR"',
]);
my @layers = map { gzipped([ "file$_", random_bytes(3000) ]) } 1 .. 3;

subtest 'an image of today' => sub {
    my ($config, $manifest) = $registry->image_of(\@layers);
    is_status($registry->push_image('a/b', 'v1', \@layers), 201, 'is pushed');
    is(told($registry, hex_of($config)), 1, '... and its index is told of');
    ok(-f index_of($registry, $_), 'each of its layers has an index') for @layers;
    my ($id, $digest) = (hex_of($config), digest($manifest));
    my $hook = qr/^\Q${\ id12($id)}\E - .*: hook \Q$id\E about= repository=a\/b digest=\Q$digest\E actor=$/;
    ok(wait_for(20, sub { lines($registry, $hook) == 1 }), '... and so does its hook') or diag($registry->output);
};

subtest 'what is there is not done again' => sub {
    my @before = map { (stat index_of($registry, $_))[1] } @layers;
    my ($config) = $registry->image_of(\@layers, note => 'another');
    is_status($registry->push_image('c/d', 'v1', \@layers, note => 'another'), 201, 'another image of the same layers');
    is(told($registry, hex_of($config)), 1, '... is told of as well');
    is_deeply([ map { (stat index_of($registry, $_))[1] } @layers ], \@before, '... but nothing is indexed again');
    is_status($registry->push_image('c/d', 'v2', \@layers, note => 'another'), 201, 'the same image under another tag');
    my ($other) = $registry->image_of([ $layers[0] ]);
    is_status($registry->push_image('c/d', 'v3', [ $layers[0] ]), 201, 'and one of some of the layers');
    is(told($registry, hex_of($other)), 1, '... is told of');
    is(told($registry, hex_of($config)), 1, '... but not a known one once more');
};

subtest 'an image of the first API' => sub {
    my $v1    = Registry::V1->new($registry);
    my @chain = Registry::V1::random_chain(3);
    my $answer = $v1->push_images('foo/bar', 'latest', @chain);
    is(told($registry, $_->{id}), 1, 'is told of by its id, and so are its ancestors') for @chain;
    ok(-f index_of($registry, $_->{layer}), 'its layer has an index') for @chain;
    ok(wait_for(20, sub { lines($registry, qr/: hook \Q$chain[2]{id}\E about= repository= digest= actor=$/) == 1 }), 'its hook runs')
        or diag($registry->output);
};

subtest 'what is no image' => sub {
    my $config   = '{}';
    my $manifest = json_of({
        schemaVersion => 2, mediaType => 'application/vnd.oci.image.manifest.v1+json',
        config => $registry->descriptor('application/vnd.example+json', $config),
        layers => [ $registry->descriptor('application/vnd.example.data', $layers[0]) ],
    });
    $registry->push_blob('a/b', $_) for $config, $layers[0];
    is_status($registry->put_manifest('a/b', 'artifact', $manifest), 201, 'an artifact is pushed');
    my ($last) = $registry->image_of([ $layers[1] ]);
    is_status($registry->push_image('a/b', 'last', [ $layers[1] ]), 201, 'and an image');
    is(told($registry, hex_of($last)), 1, 'the image is told of');
    is(lines($registry, qr/^\Q${\ id12(hex_of($manifest))}\E - indexed/), 0, 'the artifact is not');
};


subtest 'a layer that is no tar' => sub {
    my $layer = random_bytes(5000);
    my ($config) = $registry->image_of([$layer]);
    is_status($registry->push_image('a/b', 'odd', [$layer]), 201, 'is pushed');
    is(told($registry, hex_of($config)), 1, '... is done as well');
    ok(-f index_of($registry, $layer), '... has an index that says so');
    is_blob($registry, 'a/b', $layer, '... and is served');
};

finish();
