# Tags, manifests and blobs can be deleted, and what nothing needs any more goes while the registry runs.
use v5.36;
use Registry limit => 120;
use Registry::Checks;
use Registry::Tools;
use JSON::PP qw(decode_json);
use Test::More;

my $registry = Registry->start(args => [ '--lease', '5s', '--history-keep', '0', '--gc-interval', '1s' ]);
my $layer    = random_bytes(20_000);
my ($config, $manifest) = $registry->image_of([$layer]);

sub push_it ($name, @tags) {
    $registry->push_blob($name, $_) for $layer, $config;
    is_status($registry->put_manifest($name, $_, $manifest), 201, "$name:$_ is pushed") for @tags;
    return;
}

sub tags_of ($name) { return $registry->get("/v2/$name/tags/list")->json->{tags} }

subtest 'a tag' => sub {
    push_it('a/tag', 'one', 'two');
    is_status($registry->delete('/v2/a/tag/manifests/one'), 202, 'is deleted');
    is_deeply(tags_of('a/tag'), ['two'], '... alone');
    is_error($registry->get('/v2/a/tag/manifests/one'), 404, 'MANIFEST_UNKNOWN', 'it is gone');
    is_error($registry->delete('/v2/a/tag/manifests/one'), 404, 'MANIFEST_UNKNOWN', 'and is deleted only once');
    is_status($registry->get('/v2/a/tag/manifests/two'), 200, 'the manifest is there by the other one');
    is_status($registry->get('/v2/a/tag/manifests/' . digest($manifest)), 200, 'and by digest');
    is_status($registry->delete('/v2/a/tag/manifests/two'), 202, 'the last tag goes');
    is_status($registry->get('/v2/a/tag/manifests/' . digest($manifest)), 200, 'the manifest stays');
    is_status($registry->put_manifest('a/tag', 'one', $manifest), 201, 'the tag can be pushed again');
};

subtest 'a manifest' => sub {
    push_it('a/manifest', 'one', 'two', 'three');
    my $path = '/v2/a/manifest/manifests/' . digest($manifest);
    is_status($registry->delete($path), 202, 'is deleted');
    is_deeply(tags_of('a/manifest'), [], '... with its tags');
    is_error($registry->$_($path), 404, 'MANIFEST_UNKNOWN', "it is gone: $_") for 'get', 'delete';
    is_status($registry->get('/v2/a/tag/manifests/one'), 200, 'another repository keeps its own');
    push_it('a/manifest', 'again');
    is_status($registry->get($path), 200, 'it can be pushed again');
};

subtest 'a blob' => sub {
    push_it('a/blob', 'v1');
    my $path   = '/v2/a/blob/blobs/' . digest($layer);
    my $refused = $registry->delete($path);
    is_error($refused, 405, 'UNSUPPORTED', 'is not deleted while a manifest needs it');
    is($refused->json->{errors}[0]{detail}{digest}, digest($manifest), '... and that one is named');
    is_status($registry->delete('/v2/a/blob/manifests/' . digest($manifest)), 202, 'without the manifest');
    is_status($registry->delete($path), 202, '... it is');
    is_error($registry->$_($path), 404, 'BLOB_UNKNOWN', "it is gone: $_") for 'get', 'delete';
    is_status($registry->get('/v2/a/tag/blobs/' . digest($layer)), 200, 'another repository keeps it');
    is_error($registry->delete('/v2/no/where/blobs/' . digest($layer)), 404, 'NAME_UNKNOWN', 'in no repository');
};

subtest 'an index' => sub {
    push_it('an/index', 'child');
    my $index = json_of({ schemaVersion => 2, mediaType => $Registry::Client::TYPE{index},
        manifests => [ $registry->descriptor($Registry::Client::TYPE{manifest}, $manifest) ] });
    is_status($registry->put_manifest('an/index', 'all', $index, $Registry::Client::TYPE{index}), 201, 'is pushed');
    is_status($registry->delete('/v2/an/index/manifests/' . digest($index)), 202, 'is deleted');
    is_deeply(tags_of('an/index'), ['child'], '... with its tag, and without its child');
    is_status($registry->get('/v2/an/index/manifests/child'), 200, 'which is still there');
};

subtest 'garbage' => sub {
    my $own = random_bytes(30_000);
    my ($own_config, $own_manifest) = $registry->image_of([$own]);
    $registry->push_blob('gar/bage', $_) for $own, $own_config;
    is_status($registry->put_manifest('gar/bage', 'v1', $own_manifest), 201, 'an image of its own');
    sleep 7;
    is_status($registry->get('/v2/gar/bage/blobs/' . digest($own)), 200, 'stays while it is needed');
    is_status($registry->delete('/v2/gar/bage/manifests/' . digest($own_manifest)), 202, 'deleted');
    is_status($registry->get('/v2/gar/bage/blobs/' . digest($own)), 200, 'its layer stays for a lease');
    ok(wait_for(20, sub { $registry->get('/v2/gar/bage/blobs/' . digest($own))->status == 404 }), '... and goes then');
    is_blob($registry, 'a/tag', $layer, 'what is needed elsewhere is whole');
    is_error($registry->put_manifest('gar/bage', 'v1', $own_manifest), 404, 'MANIFEST_BLOB_UNKNOWN',
        'a manifest of what went is refused');
};

subtest 'a large manifest' => sub {
    my %big = (annotations => { map { ("key$_" => 'x' x 1000) } 1 .. 100 });
    push_it('lar/ge', 'small');
    my $document = json_of({ %{ decode_json($manifest) }, %big });
    is_status($registry->put_manifest('lar/ge', 'large', $document, $Registry::Client::TYPE{manifest}), 201, 'is pushed');
    is($registry->get('/v2/lar/ge/manifests/large')->content, $document, 'and pulled');
    is_status($registry->delete('/v2/lar/ge/manifests/' . digest($document)), 202, 'and deleted');
    is_deeply(tags_of('lar/ge'), ['small'], 'its tag is gone');
};

finish();
