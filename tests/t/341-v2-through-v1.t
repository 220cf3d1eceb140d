# What the second API has pushed, the first shows: tags, ids, JSON, ancestry and layers, as docker itself would have
# pushed them there; and what is no image says so.
use v5.36;
use Registry limit => 200;
use IO::Compress::Gzip qw(gzip $GzipError);
use JSON::PP ();
use Registry::Checks;
use Registry::Client ();
use Registry::Tools;
use Registry::V1;
use Test::More;

my $registry = Registry->start;
my $v1       = Registry::V1->new($registry);

sub hex_of ($bytes) { return digest($bytes) =~ s/^sha256://r }

# A layer: what it is uncompressed, and as it is pushed.
sub layer ($name) {
    my $tar = tar_of([ $name, random_bytes(300) ]);
    gzip(\$tar, \my $zipped, -Minimal => 1) or die $GzipError;
    return { tar => $tar, bytes => $zipped };
}

# The chain ids of layers, the lowest first, by their definition (OCI image-spec, config.md).
sub chain_of (@layers) {
    my @chain;
    for my $layer (@layers) {
        my $diff = digest($layer->{tar});
        push @chain, @chain ? digest("$chain[-1] $diff") : $diff;
    }
    return map { s/^sha256://r } @chain;
}

# Pushes an image; { config, manifest, id, chain }. Options: history, config (members), kind (docker or oci), tag, diff_ids,
# no_diff_ids, urls (of the first layer, which isn't pushed then).
sub push_view ($repository, $layers, %o) {
    my $docker = ($o{kind} // 'oci') eq 'docker';
    my $config = json_of({
        architecture => 'amd64', os => 'linux', created => '2024-05-06T07:08:09.123456789Z',
        config => { Env => ['A=1 & <b>'], Cmd => ['/bin/sh'] }, %{ $o{config} // {} },
        rootfs => { type => 'layers', $o{no_diff_ids} ? () : (diff_ids => $o{diff_ids} // [ map { digest($_->{tar}) } @$layers ]) },
        defined $o{history} ? (history => $o{history}) : (),
    });
    my @descriptors = map { Registry::Client->descriptor($docker ? 'docker_layer' : 'layer_gzip', $_->{bytes}) } @$layers;
    my @blobs       = ($config, map { $_->{bytes} } @$layers);
    if ($o{urls}) {
        $descriptors[0]{urls}      = $o{urls};
        $descriptors[0]{mediaType} = 'application/vnd.docker.image.rootfs.foreign.diff.tar.gzip';
        splice @blobs, 1, 1;
    }
    my $manifest = json_of({
        schemaVersion => 2, mediaType => $Registry::Client::TYPE{ $docker ? 'docker_manifest' : 'manifest' },
        config => Registry::Client->descriptor($docker ? 'docker_config' : 'config', $config), layers => \@descriptors,
    });
    for my $blob (@blobs) {
        my $pushed = $registry->push_blob($repository, $blob);
        die $pushed->describe if $pushed->status != 201;
    }
    my $put = $registry->put_manifest($repository, $o{tag} // digest($manifest), $manifest);
    die $put->describe if $put->status != 201;
    return { config => $config, manifest => $manifest, id => hex_of($config), chain => [ chain_of(@$layers) ] };
}

sub is_steps ($steps, $name) {
    my @wrong = map { "$_->[0]: " . $_->[1]->describe } grep { $_->[1]->status != $_->[2] } @$steps;
    ok(!@wrong, $name) or diag("@wrong");
    return;
}

sub image_json ($id) {
    my $got = $v1->get("/v1/images/$id/json");
    return $got->status == 200 ? $got->json : $got->describe;
}

my @layers  = map { layer("file-$_") } 1 .. 4;
my @history = (
    { created => '2024-01-01T00:00:00Z', created_by => '/bin/sh -c #(nop) ADD file:1 in / ', author => 'ann', comment => 'base' },
    { created => '2024-01-02T00:00:00Z', created_by => '/bin/sh -c #(nop)  ENV A=1', empty_layer => JSON::PP::true },
    { created => '2024-01-03T00:00:00Z', created_by => 'RUN a && b <c>', empty_layer => JSON::PP::false },
    { created => '2024-01-04T00:00:00Z', created_by => 'COPY x /x' },
    { created => '2024-01-05T00:00:00Z', created_by => 'LABEL one', empty_layer => JSON::PP::true },
    { created => '2024-01-06T00:00:00Z', created_by => 'LABEL two', empty_layer => JSON::PP::true },
    { created => '2024-01-07T00:00:00Z', created_by => 'RUN top' },
    { created => '2024-01-08T00:00:00Z', created_by => 'CMD ["/bin/sh"]', empty_layer => JSON::PP::true },
);
my $image = push_view('team/app', \@layers, history => \@history, tag => 'latest', config => { author => 'ann', variant => 'v1' });
my @ids   = ($image->{id}, reverse @{ $image->{chain} }[ 0 .. 2 ]);

subtest 'an image' => sub {
    is_deeply($v1->get('/v1/repositories/team/app/tags')->json, { latest => $image->{id} }, 'its tag has the digest of its config');
    is($v1->get('/v1/repositories/team/app/tags/latest')->content, qq("$image->{id}"), '... in quotes');
    my $pulled = $v1->pull_images('team/app', 'latest');
    is_status($_->[1], $_->[2], "a pull: $_->[0]") for @{ $pulled->{steps} };
    my @images = @{ $pulled->{images} };
    is_deeply([ map { $_->{id} } @images ], [ reverse @ids ], 'its ancestors are its chain ids');
    for my $i (0 .. 3) {
        is($images[$i]{layer}, $layers[$i]{bytes}, "layer $i is the one that was pushed");
        is($images[$i]{size}, length $layers[$i]{bytes}, '... of the size that the JSON is sent with');
    }
    is_deeply([ sort map { $_->{id} } @{ $v1->get('/v1/repositories/team/app/images')->json } ], [ sort @ids ], 'all are listed');
};

subtest 'its JSON' => sub {
    is_deeply(image_json($ids[0]), {
        architecture => 'amd64', os => 'linux', created => '2024-05-06T07:08:09.123456789Z', author => 'ann', variant => 'v1',
        config => { Env => ['A=1 & <b>'], Cmd => ['/bin/sh'] }, id => $ids[0], parent => $ids[1],
    }, 'the topmost has its config, without what docker leaves out');
    my @by = ($history[3], $history[2]);
    for my $i (1, 2) {
        is_deeply(image_json($ids[$i]), {
            architecture => 'amd64', os => 'linux', created => $by[ $i - 1 ]{created}, id => $ids[$i], parent => $ids[ $i + 1 ],
            container_config => { Cmd => [ $by[ $i - 1 ]{created_by} ] },
        }, "ancestor $i has what the history says of its layer");
    }
    is_deeply(image_json($ids[3]), {
        architecture => 'amd64', os => 'linux', created => '2024-01-01T00:00:00Z', id => $ids[3], author => 'ann', comment => 'base',
        container_config => { Cmd => [ $history[0]{created_by} ] },
    }, 'the first has no parent');
    my $text = $v1->get("/v1/images/$ids[1]/json")->content;
    like($text, qr/^\{"architecture":"amd64","container_config":.*"created":.*"id":.*"os":.*"parent":"[0-9a-f]+"\}$/, 'members are sorted');
    is($v1->get("/v1/images/$ids[1]/json")->content, $text, '... and always the same');
    is_deeply(image_json($image->{chain}[3]), {
        architecture => 'amd64', os => 'linux', created => '2024-01-07T00:00:00Z', id => $image->{chain}[3], parent => $ids[1],
        container_config => { Cmd => ['RUN top'] },
    }, 'the id that a hook hears of the topmost layer leads to it as well');
};

subtest 'reading by other paths' => sub {
    for my $path ((map { "/v1/images/$ids[1]/$_" } qw(json layer ancestry)), "/v1/repositories/team/app/tags/latest/") {
        my $got  = $registry->get($path);
        my $head = $registry->head($path);
        is_status($head, 200, "HEAD $path", map { $_ => $got->header($_) } 'Content-Length', 'Content-Type', 'X-Docker-Size', 'ETag');
        is($head->content, '', '... without a body');
    }
    for my $i (0 .. 3) {
        my $short = substr $ids[$i], 0, 12;
        is($registry->get("/v1/images/$short/json")->json->{id}, $ids[$i], "the short id $short is enough");
    }
    my $etag = $registry->get("/v1/images/$ids[2]/json")->header('ETag');
    is_status($registry->get("/v1/images/$ids[2]/json", headers => { 'If-None-Match' => $etag }), 304, 'what a client has is not sent');
    my $size = length $layers[2]{bytes};
    my $rest = $registry->get("/v1/images/$ids[1]/layer", headers => { Range => "bytes=100-$size" });
    is_status($rest, 206, 'a layer goes on where it broke off');
    is($rest->content, substr($layers[2]{bytes}, 100), '... to its end');
    is_status($registry->get("/v1/images/$ids[1]/layer", headers => { Range => "bytes=$size-$size" }), 416, 'there is no more', 'Content-Length' => 0);
};

subtest 'its files' => sub {
    sub paths_of ($id) {
        my $tree;
        wait_for(60, sub { $tree = $v1->get("/v1/images/$id/tree/"); $tree->status != 503 });
        is_status($tree, 200, "tree of $id");
        return join ' ', map { $_->{path} } @{ $tree->json // [] };
    }
    is(paths_of($ids[0]), '/file-1 /file-2 /file-3 /file-4', 'are those of all layers');
    is(paths_of($ids[1]), '/file-1 /file-2 /file-3',         '... of an ancestor, those up to its own');
    is(paths_of(substr $ids[3], 0, 10), '/file-1',           '... by a short id');
    my ($content) = $layers[1]{tar} =~ /\A.{512}(.{300})/s;
    is($v1->get("/v1/images/$ids[2]/blobs/file-2")->content, $content, 'a file');
    my $tree = $v1->get("/v1/images/$ids[0]/tree/")->json;
    is_deeply([ map { $_->{image} } @$tree ], [ reverse @ids ], 'each says from which image it is');
};

subtest 'the same layers elsewhere' => sub {
    my $other = push_view('team/other', [ @layers[ 0, 1 ], layer('another') ], kind => 'docker', tag => 'v1', history => [ @history[ 0, 2, 3 ] ]);
    my $pulled = $v1->pull_images('team/other', 'v1');
    is_deeply([ map { $_->{id} } @{ $pulled->{images} } ], [ @{ $image->{chain} }[ 0, 1 ], $other->{id} ], 'have the same ids');
    is($pulled->{images}[1]{layer}, $layers[1]{bytes}, '... and the same bytes');
    my $again = push_view('team/twice', [ @layers[ 0, 0, 1 ] ], tag => 'v1');
    my $twice = $v1->pull_images('team/twice', 'v1');
    is_deeply([ map { $_->{layer} } @{ $twice->{images} } ], [ map { $_->{bytes} } @layers[ 0, 0, 1 ] ], 'one layer may be in an image twice');
};

subtest 'an index' => sub {
    my %of;
    for my $platform (qw(linux/arm64/v8 windows/amd64 linux/amd64)) {
        my ($os, $architecture, $variant) = split m{/}, $platform;
        $of{$platform} = push_view('multi', [ layer($platform =~ tr{/}{-}r) ], config => { os => $os, architecture => $architecture });
        $of{$platform}{entry} = { %{ Registry::Client->descriptor('manifest', $of{$platform}{manifest}) },
            platform => { os => $os, architecture => $architecture, defined $variant ? (variant => $variant) : () } };
    }
    my $index = json_of({ schemaVersion => 2, mediaType => $Registry::Client::TYPE{index},
        manifests => [ map { $of{$_}{entry} } qw(linux/arm64/v8 windows/amd64 linux/amd64) ] });
    is_status($registry->put_manifest('multi', 'latest', $index), 201, 'is pushed');
    my $no_amd = json_of({ schemaVersion => 2, mediaType => $Registry::Client::TYPE{index},
        manifests => [ map { $of{$_}{entry} } qw(windows/amd64 linux/arm64/v8) ] });
    is_status($registry->put_manifest('multi', 'other', $no_amd), 201, 'and one without linux/amd64');
    is_deeply($v1->get('/v1/repositories/multi/tags')->json,
        { latest => $of{'linux/amd64'}{id}, other => $of{'linux/arm64/v8'}{id} }, 'leads to linux/amd64, else to linux');
    my %query = ('linux/arm64' => 'linux/arm64/v8', 'linux/arm64/v8' => 'linux/arm64/v8', 'windows/amd64' => 'windows/amd64');
    for my $want (sort keys %query) {
        my $tag = $v1->get("/v1/repositories/multi/tags/latest?platform=$want");
        is($tag->content, qq("$of{ $query{$want} }{id}"), "or to $want, when asked for");
        my $id = hex_of($index);
        is($v1->get("/v1/images/$id/json?platform=$want")->json->{id}, $of{ $query{$want} }{id}, '... by its own id too');
    }
    is($v1->get('/v1/images/' . hex_of($index) . '/ancestry')->json->[0], $of{'linux/amd64'}{id}, 'its own id leads to linux/amd64');
    is_v1_error($v1->get('/v1/repositories/multi/tags/latest?platform=plan9/mips'), 404, 'a platform that it does not have');
    is_v1_error($v1->get('/v1/repositories/multi/tags/latest?platform=nonsense'), 400, 'what is no platform');
    is_deeply([ map { $_->{id} } @{ $v1->get('/v1/repositories/multi/images?platform=windows/amd64')->json } ],
        [ $of{'windows/amd64'}{id} ], 'its images by platform');
    ok(wait_for(60, sub { $v1->get('/v1/images/' . hex_of($index) . '/tree/')->status == 200 }), 'its files can be seen');
    for my $want (sort keys %query) {
        my $tree;
        wait_for(60, sub { $tree = $v1->get('/v1/images/' . hex_of($index) . "/tree/?platform=$want"); $tree->status != 503 });
        is_deeply([ map { $_->{image} } @{ $tree->json } ], [ ($of{ $query{$want} }{id}) x @{ $tree->json } ], "... those of $want");
    }
    my $pulled = $v1->pull_images('multi', 'latest');
    is_status($_->[1], $_->[2], "a pull: $_->[0]") for @{ $pulled->{steps} };
};

subtest 'what is no image' => sub {
    my $blob     = random_bytes(100);
    my $artifact = json_of({
        schemaVersion => 2, mediaType => $Registry::Client::TYPE{manifest}, artifactType => 'application/vnd.example.sbom',
        config => Registry::Client->descriptor('application/vnd.oci.empty.v1+json', '{}'),
        layers => [ Registry::Client->descriptor('text/plain', $blob) ],
    });
    $registry->push_blob('things', $_) for '{}', $blob;
    is_status($registry->put_manifest('things', 'sbom', $artifact), 201, 'an artifact');
    my $list = json_of({ schemaVersion => 2, mediaType => $Registry::Client::TYPE{index},
        manifests => [ Registry::Client->descriptor('manifest', $artifact) ] });
    is_status($registry->put_manifest('things', 'list', $list), 201, 'and an index of such');
    my %ids = (sbom => hex_of($artifact), list => hex_of($list));
    is_deeply($v1->get('/v1/repositories/things/tags')->json, \%ids, 'are listed by their own digests');
    is_deeply([ sort map { $_->{id} } @{ $v1->get('/v1/repositories/things/images')->json } ], [ sort values %ids ], '... among the images');
    for my $id (values %ids) {
        for my $what (qw(json ancestry layer)) {
            my $got = $v1->get("/v1/images/$id/$what");
            is_v1_error($got, 404, "no $what");
            like($got->json->{error}, qr/is not an image/, '... and why');
        }
    }
};

subtest 'what can be seen only in part' => sub {
    my $foreign = push_view('odd', [ layer('far'), layer('near') ], tag => 'foreign', urls => ['https://example.com/layer'],
        history => [ { created_by => 'far' }, { created_by => 'near' } ]);
    is_status($v1->get("/v1/images/$foreign->{id}/layer"), 200, 'a layer that is here');
    is_status($v1->get("/v1/images/$foreign->{chain}[0]/json"), 200, 'the JSON of one that is not', 'X-Docker-Size' => undef);
    my $gone = $v1->get("/v1/images/$foreign->{chain}[0]/layer");
    is_v1_error($gone, 404, 'it is not served');
    like($gone->json->{error}, qr/isn't in this registry/, '... and why');
    my %wrong = ('too few diff ids' => { diff_ids => [] }, 'no digests' => { diff_ids => ['x'] });
    for my $what (sort keys %wrong) {
        my $liar = push_view('odd', [ layer($what) ], tag => 'liar', %{ $wrong{$what} });
        is($v1->get('/v1/repositories/odd/tags/liar')->content, qq("$liar->{id}"), "$what: it is listed");
        my $got = $v1->get("/v1/images/$liar->{id}/json");
        is_v1_error($got, 404, '... but not shown');
        like($got->json->{error}, qr/doesn't tell/, '... and why');
    }
    for my $none (0, 1) { # docker leaves out the list of diff ids then
        my $scratch = push_view('odd', [], tag => 'empty', no_diff_ids => $none);
        my $pulled = $v1->pull_images('odd', 'empty');
        is_status($_->[1], $_->[2], "an image without layers: $_->[0]") for @{ $pulled->{steps} };
        is_deeply([ map { [ $_->{id}, length $_->{layer}, $_->{size} ] } @{ $pulled->{images} } ], [ [ $scratch->{id}, 1024, 1024 ] ],
            '... has an empty one');
    }
    my $bare = push_view('odd', [ layer('a'), layer('b') ], tag => 'bare', history => [ { created_by => 'one' } ]);
    is_deeply(image_json($bare->{chain}[0]), { id => $bare->{chain}[0], architecture => 'amd64', os => 'linux' },
        'a history of other layers is not believed');
};

subtest 'lists and search' => sub {
    my $all = $v1->get('/v1/repositories')->json;
    is($all->{'team/app'}, $image->{id}, 'the list of all repositories has it');
    is_deeply([ grep { /^(multi|things|odd|team)/ } sort keys %$all ],
        [ 'multi', 'multi:other', 'odd:bare', 'odd:empty', 'odd:foreign', 'odd:liar', 'team/app', 'team/other:v1', 'team/twice:v1',
            'things:list', 'things:sbom' ], '... and all others');
    is_deeply([ map { $_->{name} } @{ $v1->get('/v1/search?q=team/')->json->{results} } ], [ 'team/app', 'team/other', 'team/twice' ], 'the search too');
};

subtest 'tags put by an id' => sub {
    is_status($v1->put_tag('team/app', 'copy', $image->{id}), 200, 'of an image that the repository has');
    is($registry->get('/v2/team/app/manifests/copy')->content, $image->{manifest}, '... the tag leads to its manifest');
    is($v1->get('/v1/repositories/team/app/tags/copy')->content, qq("$image->{id}"), '... and is listed with the id');
    ok(wait_for(10, sub { $registry->output =~ /^@{[ substr $image->{id}, 0, 12 ]} - tagged with team\/app:copy$/m }), '... which is told');
    my %refused = (
        'of a repository that is not there'       => [ 'team/none',  'b' x 64,           404 ],
        'of what an image stands upon'            => [ 'team/app',   $ids[1],            404 ],
        'of nothing'                              => [ 'team/app',   'a' x 64,           404 ],
        'of a short id'                           => [ 'team/app',   substr($ids[0], 0, 12), 400 ],
    );
    for my $what (sort keys %refused) {
        my ($repository, $id, $status) = @{ $refused{$what} };
        is_v1_error($v1->put_tag($repository, 'no', $id), $status, $what);
        is_v1_error($v1->get("/v1/repositories/$repository/tags/no"), 404, '... makes no tag');
    }
    is_status($v1->request(DELETE => '/v1/repositories/team/app/tags/copy'), 200, 'it goes again');
};

# A docker of then that has pulled it here sends nothing that is here.
subtest 'pushed on under another name' => sub {
    my $pulled = $v1->pull_images('team/app', 'latest');
    my @steps = $v1->push_images('moved/app', 'latest', @{ $pulled->{images} });
    is_steps(\@steps, 'without an error');
    ok(!(grep { $_->[0] eq 'PUT layer' } @steps), '... or a layer being sent');
    is($registry->get('/v2/moved/app/manifests/latest')->content, $image->{manifest}, 'the same manifest is there');
    is($registry->get('/v2/moved/app/blobs/' . digest($layers[0]{bytes}))->content, $layers[0]{bytes}, '... with its layers');
    is_status($v1->put_tag('nothing/here', 'x', $ids[1]), 404, 'an ancestor has no manifest');
    is($registry->get('/v2/nothing/here/tags/list')->status, 404, '... and makes no repository');
    is_status($registry->delete('/v2/moved/app/manifests/' . digest($image->{manifest})), 202, 'it goes again');
};

subtest 'built upon' => sub {
    my $before = $v1->pull_images('team/app', 'latest');
    my $child  = Registry::V1::random_image($ids[0]);
    is_steps([ $v1->push_images('built/app', 'latest', @{ $before->{images} }, $child) ], 'only what is new is sent');
    my $after = $v1->pull_images('built/app', 'latest');
    is_steps($after->{steps}, '... and all of it can be pulled');
    my @bare = map { my %i = %$_; delete $i{payload}; \%i } @{ $before->{images} };
    is_deeply([ map { my %i = %$_; delete $i{payload}; \%i } @{ $after->{images} }[ 0 .. $#bare ] ], \@bare, '... what was there is as before');
    is($after->{images}[-1]{json}, $child->{json}, '... and what is new, as it came');
    ok(wait_for(60, sub { $registry->get('/v2/built/app/manifests/latest')->status == 200 }), 'the second API has it too');
    my $manifest = $registry->get('/v2/built/app/manifests/latest')->json;
    is_deeply([ map { $_->{digest} } @{ $manifest->{layers} } ], [ (map { digest($_->{bytes}) } @layers), digest($child->{layer}) ], '... with these layers');
    my $odd = Registry::V1::random_image('d' x 64);
    is_v1_error($v1->put_json($odd), 400, 'on what is not there nothing is built');
    is_status($v1->request(DELETE => '/v1/repositories/built/app/tags/latest'), 200, 'its tag goes again');
};

subtest 'deleting' => sub {
    is_status($v1->request(DELETE => '/v1/repositories/team/app/tags/latest'), 200, 'a tag');
    is_error($registry->get('/v2/team/app/manifests/latest'), 404, 'MANIFEST_UNKNOWN', '... is gone from both');
    ok((grep { $_ eq substr($image->{id}, 0, 12) . ' - untagged with team/app' } split /\n/, $registry->output), '... and that is told with its id')
        if ok(wait_for(10, sub { $registry->output =~ /untagged with team\/app$/m }), 'the log has it');
    is_status($v1->get("/v1/images/$ids[0]/json"), 200, 'its manifest stays, and so does the image');
    is_status($registry->delete('/v2/team/app/manifests/' . digest($image->{manifest})), 202, 'the manifest');
    is_v1_error($v1->get("/v1/images/$image->{chain}[3]/json"), 404, '... with it goes an id');
    is_v1_error($v1->get('/v1/images/' . substr($image->{chain}[3], 0, 12) . '/json'), 404, '... also when it is short');
    is_status($v1->get("/v1/images/$_/json"), 200, '... what was built upon has its lease') for $ids[0], $ids[1];
    is_status($v1->get("/v1/images/$_/json"), 200, '... another manifest still has this one') for @ids[ 2, 3 ];
    is_status($v1->request(DELETE => '/v1/repositories/things/'), 200, 'all tags of a repository');
    is_v1_error($v1->get('/v1/repositories/things/tags'), 404, '... are gone');
};

is_tidy($registry);
finish();
