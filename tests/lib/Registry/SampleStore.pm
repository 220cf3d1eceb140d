package Registry::SampleStore;

# A small store with something in every table. tests/data/make-store fills one and keeps it as
# tests/data/store-N.tar.gz, where N is the format; 086-released-formats.t checks that this program reads it.
# What is expected never changes: a later format gets a store of its own beside the older ones.
use v5.36;
use Exporter qw(import);
use Registry::Checks;
use Registry::Tools;
use Registry::V1;
use Test::More;

our @EXPORT = qw(fill_store check_store);

my $LAYER = tar_of([ 'etc/motd', "a sample\n" ], [ 'bin/sh', 'x' x 3000 ]);
my $OTHER = tar_of([ 'etc/motd', "another sample\n" ]);
my $LONE  = 'a blob that nothing keeps';
my $PIECE = 'the first piece, ';
my $REST  = 'and the rest';

# Of over 64 KiB, so that it is a file among the blobs.
my $LARGE = json_of({
    schemaVersion => 2,
    mediaType     => 'application/vnd.oci.image.index.v1+json',
    manifests     => [],
    annotations   => { text => 'y' x 70_000 },
});

# By GET, since HEAD renews the lease.
sub collected ($registry, $bytes) {
    return wait_for(60, sub { $registry->get('/v2/sample/image/blobs/' . digest($bytes))->status == 404 });
}

sub converted ($registry) { return $registry->head('/v2/sample/old/manifests/latest')->status == 200 }

sub fill_store ($registry) {
    my $v1 = Registry::V1->new($registry);

    is_status($registry->push_image('sample/image', 'v1', [$OTHER]), 201, 'an image');
    is_status($registry->push_image('sample/image', 'v1', [$LAYER]), 201, 'another one, by the same tag');
    is_status($registry->put_manifest('sample/large', 'v1', $LARGE), 201, 'a large manifest');
    is_status($registry->push_blob('sample/image', $LONE), 201, 'a blob that nothing keeps');
    my $upload = $registry->start_upload('sample/image');
    is_status($registry->patch($upload, body => $PIECE), 202, 'an upload without its end');
    my @wrong = grep { $_->[1]->status != $_->[2] } $v1->push_images('sample/old', 'latest', image('A sent'), image('B sent'));
    ok(!@wrong, 'an image by the first API');
    ok(wait_for(60, sub { converted($registry) }), '... which is converted');
    ok(wait_for(60, sub { $registry->files('index') >= 2 }), 'layers are indexed');
    spew($registry->dir . '/upload', $upload);
    return;
}

sub check_store ($registry) {
    my ($config, $manifest) = $registry->image_of([$LAYER]);
    my $v1     = Registry::V1->new($registry);
    my $upload = slurp($registry->dir . '/upload');

    is($registry->get('/v2/sample/image/manifests/v1')->content, $manifest, 'a manifest by its tag');
    is_blob($registry, 'sample/image', $_, '... and its parts') for $config, $LAYER;
    is($registry->get('/v2/sample/image/tags/list')->content, json_of({ name => 'sample/image', tags => ['v1'] }), 'the tags');
    is($registry->get('/v2/sample/large/manifests/v1')->content, $LARGE, 'a large manifest');
    is(join(' ', map { $_->{id} } @{ $v1->pull_images('sample/old', 'latest')->{images} }),
        join(' ', map { image($_)->{id} } 'A sent', 'B sent'), 'the images of the first API');
    ok(converted($registry), '... and their manifest');
    is_status($registry->patch($upload, body => $REST), 202, 'the upload goes on');
    is_status($registry->put($registry->with_digest($upload, digest($PIECE . $REST)), body => ''), 201, '... to its end');
    is_blob($registry, 'sample/image', $PIECE . $REST, '... which is a blob');
    ok(collected($registry, $LONE), 'a blob that nothing keeps is collected');
    is_status($registry->push_image('sample/image', 'v2', [$OTHER]), 201, 'a push');
    is_status($registry->delete('/v2/sample/image/manifests/' . digest($manifest)), 202, '... and a deletion');
    ok(collected($registry, $LAYER), '... after which its layer is collected');
    return;
}

1;
