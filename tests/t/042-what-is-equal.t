# Requests and documents that mean the same as others: empty parameters, empty lists, media types in capitals, and
# configs whose type docker 1.10 or a proxy has lost.
use v5.36;
use Registry limit => 100;
use Registry::Checks;
use Registry::Client ();
use Registry::Tools;
use Registry::V1 ();
use IO::Compress::Gzip qw(gzip $GzipError);
use Test::More;

my $registry = Registry->start;
my %TYPE     = %Registry::Client::TYPE;
my $NAME     = 'team/app';
my $tar      = Registry::V1::tar_of([ 'file', 'text' ]);
gzip(\$tar, \my $layer, -Minimal => 1) or die $GzipError;
my $config   = json_of({ architecture => 'amd64', os => 'linux', config => {}, rootfs => { type => 'layers', diff_ids => [ digest($tar) ] } });
my $empty    = json_of({ architecture => 'amd64', os => 'linux', config => {}, rootfs => { type => 'layers', diff_ids => [] } });
is_status($registry->push_blob($NAME, $_), 201, 'a blob') for $layer, $config, $empty;

sub descriptor ($type, $bytes) { return { mediaType => $type, digest => digest($bytes), size => length $bytes } }
sub put ($tag, $type, %document) {
    return $registry->put("/v2/$NAME/manifests/$tag", headers => { 'Content-Type' => $type },
        body => json_of({ schemaVersion => 2, mediaType => $type, %document }));
}
sub inside ($tag, $what) {
    my $answer;
    wait_for(30, sub { $answer = $registry->get("/v2/$NAME/_image/$tag/$what"); $answer->status != 503 });
    return $answer;
}

subtest 'a tag that is none' => sub {
    for my $tag ('.x', '-x', 'x' x 129, 'a+b', 'a b' =~ s/ /%20/r) {
        is_error($registry->get("/v2/$NAME/manifests/$tag"), 404, 'MANIFEST_UNKNOWN', "GET $tag");
        is_status($registry->head("/v2/$NAME/manifests/$tag"), 404, '... HEAD');
        is_error(put($tag, $TYPE{manifest}), 400, 'TAG_INVALID', '... PUT');
    }
};

subtest 'a piece that is out of place' => sub {
    my $place = $registry->start_upload($NAME);
    is_status($registry->patch($place, body => 'x' x 10), 202, 'a first piece');
    is_status($registry->patch($place, body => 'x' x 5, headers => { 'Content-Range' => $_ }), 416, $_, Range => '0-9') for '20-24', '20-99', '0-1';
    is_error($registry->patch($place, body => 'x' x 5, headers => { 'Content-Range' => '10-99' }), 400, 'SIZE_INVALID', 'only the size is wrong');
};

subtest 'empty parameters' => sub {
    put($_, $TYPE{manifest}, config => descriptor($TYPE{config}, $config), layers => [ descriptor($TYPE{layer_gzip}, $layer) ]) for 'a' .. 'c';
    my $subject = $registry->head("/v2/$NAME/manifests/a")->header('Docker-Content-Digest');
    for my $path ("/v2/$NAME/tags/list", '/v2/_catalog', "/v2/$NAME/referrers/$subject") {
        my $all = $registry->get($path)->content;
        is($registry->get("$path?$_")->content, $all, "$path?$_") for 'n=', 'last=', 'n=&last=';
    }
};

subtest 'empty lists' => sub {
    for my $case ([ 'empty', layers => [] ], [ 'null', layers => undef ], ['missing']) {
        my ($tag, @layers) = @$case;
        is_status(put($tag, $TYPE{manifest}, config => descriptor($TYPE{config}, $empty), @layers), 201, "layers: $tag");
        is_status(inside($tag, $_), 200, "... $_") for 'tree/', 'history', 'archive/', 'find?name=*', 'diff?from=a';
        is_deeply(inside($tag, 'tree/')->json, [], '... nothing is in it');
        is_status(inside('a', "diff?from=$tag"), 200, '... compared with it');
        my $id = $registry->get("/v1/repositories/$NAME/tags/$tag")->json // '';
        is_status($registry->get("/v1/images/$id/$_"), 200, "... the first API: $_") for 'json', 'ancestry', 'layer', 'tree/';
    }
    is_status(put('index', $TYPE{index}, manifests => undef), 201, 'manifests: null');
    is_status(put('artifact', $TYPE{manifest}, artifactType => '', config => descriptor($TYPE{config}, $config), layers => [ descriptor($TYPE{layer_gzip}, $layer) ]),
        201, 'artifactType: ""');
    is_status(inside('artifact', 'tree/'), 200, '... is an image');
};

subtest 'capitals' => sub {
    is_status(put('capitals', uc $TYPE{manifest}, config => descriptor(uc $TYPE{config}, $config), layers => [ descriptor(ucfirst $TYPE{layer_gzip}, $layer) ]),
        201, 'media types in capitals');
    is($registry->get("/v2/$NAME/manifests/capitals")->header('Content-Type'), $TYPE{manifest}, '... are served as all know them');
    is_status(inside('capitals', 'tree/'), 200, '... and it is an image');
};

subtest 'odd types' => sub {
    my $docker = 'application/vnd.docker.distribution.manifest.v2+json';
    my $rootfs = 'application/vnd.docker.image.rootfs.diff.tar.gzip';
    my $n      = 0;
    for my $type ('application/octet-stream', 'application/json', 'text/html', 'text/html; charset=utf-8', 'text/plain', 'x', '') {
        my $tag = 'odd' . ++$n;
        is_status(put($tag, $docker, config => descriptor($type, $config), layers => [ descriptor($rootfs, $layer) ]), 201, "a config of type '$type'");
        is_status(inside($tag, $_), 200, "... is an image's: $_") for 'tree/', 'history';
        is_status($registry->get("/v1/images/" . ($registry->get("/v1/repositories/$NAME/tags/$tag")->json // 'none') . '/ancestry'), 200, '... for the first API, too');
    }
    is_status(put('plugin', $docker, config => descriptor('application/vnd.docker.plugin.v1+json', $config), layers => [ descriptor($rootfs, $layer) ]), 201, 'a plugin');
    is_status(inside('plugin', 'tree/'), 404, '... is no image');
    is_status(put('bytes', $TYPE{manifest}, config => descriptor($TYPE{config}, $config), layers => [ descriptor('application/octet-stream', $layer) ]), 201, 'a layer of bytes');
    is_status(inside('bytes', 'tree/'), 200, '... beside the config of an image is its layer');
    is_status(put('sig', $TYPE{manifest}, config => descriptor($TYPE{config}, $config), layers => [ descriptor('application/vnd.dev.cosign.simplesigning.v1+json', $layer) ]), 201, 'a signature');
    is_status(inside('sig', 'tree/'), 404, '... is no image');
    is_error(put('bad', $TYPE{manifest}, config => descriptor('text/html; charset=utf-8', $config)), 400, 'MANIFEST_INVALID', 'OCI has no such config');
};

finish();
