# Export, import elsewhere, export again: the same, byte for byte.
use v5.36;
use Registry limit => 180;
use Registry::Checks;
use Registry::Tools;
use Test::More;

my $first = Registry->start;
my $tmp   = tempdir();

sub export ($registry, @args) { return Registry->try([ 'export', '--dir', $registry->dir, @args ], timeout => 60) }
sub import_into ($registry, @args) { return Registry->try([ 'import', '--dir', $registry->dir, @args ], timeout => 60) }
sub digest_of ($registry, $name, $reference) { return $registry->head("/v2/$name/manifests/$reference")->header('Docker-Content-Digest') // '' }

# Repositories whose names look alike once docker has completed them, an index, docker's types, and
# something attached to something attached.
my $layer = random_bytes(5000);
my @names = qw(app library/app docker.io/library/app team/app 1.0);
for my $repository (@names) {
    is_status($first->push_image($repository, 'oci', [ $layer, $repository ], note => $repository), 201, "$repository:oci");
    is_status($first->push_image($repository, $_, [$layer], note => $repository, kind => 'docker'), 201, "$repository:$_") for qw(docker 2 latest);
}
my (undef, $image) = $first->image_of([ $layer, 'team/app' ], note => 'team/app');
my (undef, $old)   = $first->image_of([$layer], note => 'team/app', kind => 'docker');
my $index = json_of({
    schemaVersion => 2, mediaType => $Registry::Client::TYPE{index},
    manifests => [ $first->descriptor('manifest', $image), $first->descriptor('docker_manifest', $old) ],
});
is_status($first->put_manifest('team/app', 'index', $index), 201, 'an index of both kinds');
$first->push_blob('team/app', '{}');

sub attach ($subject, $type, $kind) {
    my $document = json_of({
        schemaVersion => 2, mediaType => $Registry::Client::TYPE{manifest}, artifactType => $kind,
        config => $first->descriptor('application/vnd.oci.empty.v1+json', '{}'),
        layers => [ $first->descriptor('text/plain', $layer) ], subject => $first->descriptor($type, $subject),
    });
    is_status($first->put_manifest('team/app', digest($document), $document), 201, "a $kind");
    return $document;
}
my $sbom = attach($image, 'manifest', 'text/x-sbom');
my $sig  = attach($sbom,  'manifest', 'text/x-sig');

works(export($first, @names, '-o', "$tmp/all.tar"), 'all is exported');
works(export($first, @names, '-o', "$tmp/all/"),    '... and as a directory');

for my $from ('all.tar', 'all') {
    my $second = Registry->start;
    works(import_into($second, "$tmp/$from"), "$from: imported elsewhere");
    my @other = grep { digest_of($first, @$_) ne digest_of($second, @$_) } map { my $r = $_; map { [ $r, $_ ] } qw(oci docker 2 latest) } @names;
    is_deeply(\@other, [], '... all tags have the same digests');
    is(digest_of($second, 'team/app', 'index'), digest($index), '... and so has the index');
    is_deeply([ map { $_->{digest} } @{ $second->get('/v2/team/app/referrers/' . digest($sbom))->json->{manifests} } ], [ digest($sig) ], '... what was attached is');
    is_deeply($second->get('/v2/app/tags/list')->json->{tags}, [qw(2 docker latest oci)], '... and nothing is where it was not');
    works(export($second, @names, '-o', "$tmp/again.tar"), 'exported again');
    ok(slurp("$tmp/again.tar") eq slurp("$tmp/all.tar"), '... the same bytes');
    works(import_into($first, "$tmp/again.tar"), 'and back to where it came from');
    is_deeply($first->get('/v2/_catalog')->json, $second->get('/v2/_catalog')->json, '... where nothing is new');
    $second->stop;
}

my $second = Registry->start;
works(export($first, 'app@' . digest_of($first, 'app', 'oci'), '-o', "$tmp/one.tar"), 'one, by its digest');
works(import_into($second, "$tmp/one.tar"), '... imported');
is(digest_of($second, 'app', digest_of($first, 'app', 'oci')), digest_of($first, 'app', 'oci'), '... where it belongs');
is_deeply($second->get('/v2/app/tags/list')->json->{tags}, [], '... without a tag, as it was');
finish();
