# An id of the first API that is also the name of an image of the second shows that image, whoever pushes what under it;
# and an image that is not complete is only its pusher's to change.
use v5.36;
use Registry limit => 240;
use IO::Compress::Gzip qw(gzip $GzipError);
use Registry::Checks;
use Registry::Client ();
use Registry::Tools;
use Registry::V1;
use Test::More;

my @users    = qw(ann:secret1 bob:secret2);
my $registry = Registry->start(user => $users[0], args => [ map { ('--user', $_) } @users ]);
my $ann      = $registry;
my $bob      = $registry->with(user => $users[1]);
my $v1       = Registry::V1->new($ann, user => $users[0], https => 1);
my $bobs_v1  = Registry::V1->new($bob, user => $users[1], https => 1);

sub hex_of ($bytes) { return digest($bytes) =~ s/^sha256://r }

sub layer ($name) {
    my $tar = Registry::V1::tar_of([ $name, random_bytes(300) ]);
    gzip(\$tar, \my $zipped, -Minimal => 1) or die $GzipError;
    return { tar => $tar, bytes => $zipped };
}

# An image of these layers, not pushed yet; diff_ids: others than those of the layers.
sub image_of ($layers, %o) {
    my @diff   = map { digest($_->{tar}) } @$layers;
    my $config = json_of({
        architecture => 'amd64', os => 'linux', config => { Cmd => [ $o{note} // 'x' ] },
        rootfs => { type => 'layers', diff_ids => $o{diff_ids} // \@diff },
    });
    my @chain;
    push @chain, @chain ? digest("$chain[-1] $_") : $_ for @diff;
    return { config => $config, layers => $layers, id => hex_of($config), chain => [ map { s/^sha256://r } @chain ] };
}

sub push_v2 ($client, $repository, $tag, $image, %o) {
    my @layers = map { Registry::Client->descriptor('layer_gzip', $_->{bytes}) } @{ $image->{layers} };
    if ($o{foreign}) {
        $_->{mediaType} = 'application/vnd.oci.image.layer.nondistributable.v1.tar+gzip', $_->{urls} = ['https://example.com/x'] for @layers;
    }
    my $manifest = json_of({
        schemaVersion => 2, mediaType => $Registry::Client::TYPE{manifest},
        config => Registry::Client->descriptor('config', $image->{config}),
        layers => \@layers,
        annotations => { tag => $tag },
    });
    for my $blob ($image->{config}, $o{foreign} ? () : map { $_->{bytes} } @{ $image->{layers} }) {
        my $pushed = $client->push_blob($repository, $blob);
        die $pushed->describe if $pushed->status != 201;
    }
    my $put = $client->put_manifest($repository, $tag, $manifest);
    die $put->describe if $put->status != 201;
    return digest($manifest);
}

# A v1 image with an id of choice.
sub fake ($id, $parent = undef) {
    my $image = Registry::V1::random_image($parent);
    my $json  = $image->{json} =~ s/"id":"[0-9a-f]+"/"id":"$id"/r;
    return { %$image, id => $id, json => $json, payload => Registry::V1::payload_of($json, $image->{layer}) };
}

sub got_layer ($id) {
    my $got;
    wait_for(60, sub { $got = $v1->get("/v1/images/$id/layer"); $got->status != 503 });
    return $got->status == 200 ? $got->content : $got->describe;
}

sub is_taken ($response, $name) {
    is_v1_error($response, 409, $name);
    is(($response->json // {})->{error}, 'Image already exists', '... in the words that docker knows');
    return;
}

# Each id shows what was pushed by the second API.
sub shows ($image, $name, $repository = 'team/app') {
    my ($id, $low) = ($image->{id}, $image->{chain}[0]);
    is(got_layer($low), $image->{layers}[0]{bytes}, "$name: the layer of what it stands on");
    is(got_layer($id),  $image->{layers}[1]{bytes}, '... and its own');
    is_deeply($v1->get("/v1/images/$id/ancestry")->json, [ $id, $low ], '... the ancestry');
    is_deeply($v1->get("/v1/images/$id/json")->json->{config}, { Cmd => ['x'] }, '... and the JSON');
    is($v1->get("/v1/images/$low/json")->json->{parent}, undef, '... of both');
    my $pulled = $v1->pull_images($repository, 'v1');
    is_deeply([ map { $_->{layer} } @{ $pulled->{images} } ], [ map { $_->{bytes} } @{ $image->{layers} } ], '... and a pull has all of it');
    my ($tree, $paths);
    wait_for(60, sub { $tree = $v1->get("/v1/images/$id/tree/"); $tree->status != 503 });
    is_deeply([ map { $_->{path} } @{ $tree->json } ], [ '/one', '/two' ], '... and so has a look inside');
    return;
}

subtest 'ids that are taken' => sub {
    my $image = image_of([ layer('one'), layer('two') ]);
    push_v2($ann, 'team/app', 'v1', $image);
    for my $id ($image->{id}, @{ $image->{chain} }) {
        my $fake = fake($id);
        my $put;
        wait_for(60, sub { $put = $bobs_v1->put_json($fake); $put->status != 503 });
        is_taken($put, 'a JSON, once the layers are compared');
        is($bobs_v1->put_layer($fake)->status, 404, '... and so no layer');
    }
    is_taken($v1->put_json(fake($image->{id})), 'nor by the pusher himself');
    shows($image, 'afterwards');
};

subtest 'ids that were taken before' => sub {
    my $image = image_of([ layer('one'), layer('two') ]);
    my $half  = fake($image->{chain}[1]);
    my @fakes = (fake($image->{chain}[0]), fake($image->{id}, $image->{chain}[0]));
    is($_->[1]->status, $_->[2], "bob: $_->[0]") for map { $bobs_v1->push_image($_) } @fakes;
    is_status($bobs_v1->put_json($half),                    200, 'bob: one more JSON');
    is_status($bobs_v1->put_tag('bob/x', 'v1', $image->{id}), 200, 'bob: a tag');
    push_v2($ann, 'team/app', 'v1', $image);
    shows($image, 'the image that came by the second API');
    my $late;
    wait_for(60, sub { $late = $bobs_v1->put_json($half); $late->status == 409 });
    is_taken($late, 'his JSON, once the layers are compared');
    is_taken($bobs_v1->put_layer($half), 'a layer comes too late');
    is_taken($bobs_v1->put_json($fakes[1]), 'and another JSON');
    is_status($v1->put_tag('team/app', 'copy', $image->{id}), 200, 'a tag by the id');
    is_status($ann->get('/v2/team/app/manifests/copy'), 200, '... is one of the manifest');
    is_status($v1->put_json(Registry::V1::random_image($image->{id})), 200, 'what is built upon it');
    shows($image, '... is built upon ann\'s layers');
};

subtest 'ids that are only claimed' => sub {
    my @chain = Registry::V1::random_chain(2);
    is($_->[1]->status, $_->[2], "ann: $_->[0]") for $v1->push_images('team/old', 'v1', @chain);
    my $claims = image_of([ layer('evil') ], diff_ids => ["sha256:$chain[0]{id}"]);
    push_v2($bob, 'bob/claims', 'v1', $claims);
    is(got_layer($chain[0]{id}), $chain[0]{layer}, 'a config may name any id as its layer: ann keeps hers');
    is($v1->get_json($chain[0]{id})->content, $chain[0]{json}, '... with its JSON');
    is_deeply([ map { $_->{layer} } @{ $v1->pull_images('team/old', 'v1')->{images} } ], [ map { $_->{layer} } @chain ], '... and for all who pull');
    is_status($v1->put_json(Registry::V1::random_image($chain[0]{id})), 200, '... and build upon it');
};

# Bob's manifest, whose config says that its layer is called so, until the layer has been looked into.
sub claim ($id, $layer = layer('evil'), @more) {
    push_v2($bob, 'bob/claims', 'v' . ++state $n, image_of([ $layer, @more ], diff_ids => [ "sha256:$id", map { digest($_->{tar}) } @more ]));
    return;
}

sub settled ($id) {
    return wait_for(60, sub { $v1->get("/v1/images/$id/json")->status == 404 });
}

subtest 'an id that is claimed before it is pushed' => sub {
    my $mine = Registry::V1::random_image();
    my $evil = layer('evil');
    claim($mine->{id}, $evil);
    my $early = $v1->put_json(Registry::V1::random_image($mine->{id}));
    ok($early->status =~ /^(?:400|503)$/, 'nothing is built upon it: ' . $early->status);
    my @begun = map { my $other = Registry::V1::random_image(); claim($other->{id}); $v1->put_json($other)->status } 1 .. 5;
    is_deeply([ grep { !/^(?:200|503)$/ } @begun ], [], '... and docker, which skips an image that is there already, is told to wait');
    ok(settled($mine->{id}), 'what a config says falsely leads to nothing');
    is_v1_error($v1->put_json(Registry::V1::random_image($mine->{id})), 400, '... and nothing is built upon it');
    is($_->[1]->status, $_->[2], "ann: $_->[0]") for $v1->push_image($mine);
    is(got_layer($mine->{id}), $mine->{layer}, 'the id is that of who pushes it');
    is_status($v1->put_json(Registry::V1::random_image($mine->{id})), 200, '... and is built upon');
};

subtest 'an id that is claimed while it is pushed' => sub {
    my ($json, $layer) = map { Registry::V1::random_image() } 1 .. 2;
    is_status($v1->put_json($_), 200, 'ann: a JSON') for $json, $layer;
    is_status($v1->put_layer($layer), 200, '... and a layer');
    claim($_->{id}) for $json, $layer;
    is_status($v1->put_layer($json), 200, 'bob has claimed both: ann goes on with a layer');
    is_status($v1->put_checksum($_), 200, '... and a checksum') for $json, $layer;
    is(got_layer($_->{id}), $_->{layer}, '... and has what she pushed') for $json, $layer;
};

subtest 'a claim that nobody can check' => sub {
    my ($mine, $broken) = (Registry::V1::random_image(), layer('evil'));
    substr($broken->{bytes}, -12) = '';
    claim($mine->{id}, $broken);
    ok(wait_for(60, sub { $v1->put_json($mine)->status == 200 }), 'its layer is damaged: the id is free once that is known');
    is($_->[1]->status, $_->[2], "ann: $_->[0]") for $v1->push_image($mine);
    is(got_layer($mine->{id}), $mine->{layer}, '... and hers');
    my $low = Registry::V1::random_image()->{id};
    claim($low, $broken);
    wait_for(60, sub { $v1->put_json(Registry::V1::random_image($low))->status == 400 });
    is(got_layer($low), $broken->{bytes}, 'an id that nobody else has shows it');
    is_v1_error($v1->put_json(Registry::V1::random_image($low)), 400, '... but nothing is built upon it');
};

subtest 'a crowd of claims' => sub {
    my $image = image_of([ layer('one'), layer('two') ]);
    claim($image->{chain}[0]) for 1 .. 70;
    push_v2($ann, 'team/behind', 'v1', $image);
    shows($image, 'seventy older manifests claim the id of a layer', 'team/behind');
};

subtest 'a short id' => sub {
    my $mine = Registry::V1::random_image();
    is($_->[1]->status, $_->[2], "ann: $_->[0]") for $v1->push_image($mine);
    my $short = substr $mine->{id}, 0, 12;
    claim($short . 'f' x 52);
    is($v1->get("/v1/images/$short/layer")->content, $mine->{layer}, 'a claim makes it no ambiguous one');
};

subtest 'a config that is shown with other layers' => sub {
    my $image = image_of([ layer('one'), layer('two') ]);
    push_v2($bob, 'bob/older', 'v1', { %$image, layers => [ layer('one'), layer('evil') ] });
    push_v2($ann, 'team/app', 'v1', $image);
    ok(wait_for(60, sub { $v1->get("/v1/images/$image->{id}/layer")->content eq $image->{layers}[1]{bytes} }), 'those that it tells of win');
    shows($image, 'from then on');
};

subtest 'a crowd' => sub {
    my $image = image_of([ layer('one'), layer('two') ]);
    my $evil  = layer('evil');
    push_v2($bob, 'bob/older', "v$_", { %$image, layers => [ layer('one'), $evil ] }) for 1 .. 17;
    push_v2($ann, 'team/late', 'v1', $image);
    ok(wait_for(60, sub { $v1->get("/v1/images/$image->{id}/layer")->content eq $image->{layers}[1]{bytes} }),
        'seventeen older manifests show a config with other layers: none hides those that it tells of');
    shows($image, 'then', 'team/late');
};

subtest 'what was built upon' => sub {
    my $image = image_of([ layer('one'), layer('two') ]);
    push_v2($bob, 'bob/older', 'first', image_of([ layer('x') ]));
    my $base = push_v2($ann, 'team/base', 'v1', $image);
    shows($image, 'an image', 'team/base');
    my $child = Registry::V1::random_image($image->{id});
    is($_->[1]->status, $_->[2], "ann: $_->[0]") for $v1->push_image($child);
    is_status($v1->put_tag('team/built', 'v1', $child->{id}), 200, 'ann builds upon it');
    is_status($ann->delete("/v2/team/base/manifests/$base"), 202, 'the base goes');
    my $evil = layer('evil');
    push_v2($bob, 'bob/older', 'evil', { %$image, layers => [ layer('one'), $evil ] });
    for my $when ('before it is known', 'afterwards') {
        is(got_layer($image->{id}), $image->{layers}[1]{bytes}, "other layers under its config: $when nothing changes");
        is(got_layer($child->{id}), $child->{layer}, '... nor for what stands upon it');
        sleep 2;
    }
    is_status($v1->put_tag('team/other', 't', $image->{id}), 200, 'a tag by its id');
    is($v1->get('/v1/repositories/team/other/tags/t')->content, qq("$image->{id}"), '... names it');
    my $made;
    wait_for(60, sub { $made = $ann->get('/v2/team/other/manifests/t'); $made->status == 200 });
    unlike($made->content, qr/@{[ digest($evil->{bytes}) ]}/, '... and its manifest has none of bob\'s layers');
};

subtest 'layers that are kept elsewhere' => sub {
    my $image = image_of([ layer('one'), layer('two') ]);
    push_v2($bob, 'bob/older', 'foreign', $image, foreign => 1);
    push_v2($ann, 'team/here', 'v1', $image);
    shows($image, 'an image with the same layers, which has none of them', 'team/here');
    my $unsure = image_of([ layer('one'), layer('two') ]);
    substr($_->{bytes}, -12) = '' for $unsure->{layers}[1];
    push_v2($ann, 'team/unsure', 'v1', $unsure);
    is(got_layer($unsure->{id}), $unsure->{layers}[1]{bytes}, 'an image whose layer is damaged is shown');
    my $broken = layer('evil');
    substr($broken->{bytes}, -12) = '';
    push_v2($bob, 'bob/older', 'unsure', { %$unsure, layers => [ $unsure->{layers}[0], $broken ] });
    my $got;
    wait_for(60, sub { $got = $v1->get("/v1/images/$unsure->{id}/layer"); $got->status == 404 });
    like($got->describe, qr/^404\b.*several images have this id/s, '... but not when another one says the same of its layers');
};

subtest 'the same image in many repositories, with layers that are kept elsewhere' => sub {
    my $tmp   = tempdir();
    my $image = image_of([ layer('one'), layer('two') ]);
    push_v2($ann, 'team/far', 'v1', $image, foreign => 1);
    works(Registry->try([ 'export', 'team/far:v1', '--output', "$tmp/far/", '--dir', $registry->dir ]), 'it is exported');
    for my $n (1 .. 6) {
        works(Registry->try([ 'import', "$tmp/far", '--prefix', "team/n$n", '--dir', $registry->dir ]), "import $n");
        is_status($v1->get("/v1/images/$_/json"), 200, '... the image is shown') for $image->{id}, $image->{chain}[0];
    }
    push_v2($ann, "team/p$_", 'v1', $image, foreign => 1) for 1 .. 6;
    is_status($v1->get("/v1/images/$image->{id}/json"), 200, '... and after as many pushes');
};

subtest 'an id that was begun' => sub {
    my $image = image_of([ layer('one'), layer('two') ]);
    my $same  = { %{ fake($image->{chain}[0]) }, layer => $image->{layers}[0]{bytes} };
    is_status($bobs_v1->put_json($same),  200, 'bob: a JSON');
    is_status($bobs_v1->put_layer($same), 200, '... and the very layer');
    push_v2($ann, 'team/begun', 'v1', $image);
    shows($image, 'ann\'s image', 'team/begun');
    my $child = Registry::V1::random_image($image->{id});
    is($_->[1]->status, $_->[2], "ann: $_->[0]") for $v1->push_image($child);
    is_status($v1->put_tag('team/begun', 'v2', $child->{id}), 200, '... is built upon');
};

subtest 'the id of an index' => sub {
    my $image = image_of([ layer('one'), layer('two') ]);
    push_v2($bob, 'bob/older', 'base', $image);
    my $index = json_of({ schemaVersion => 2, mediaType => $Registry::Client::TYPE{index}, manifests => [], annotations => { n => "$$" } });
    push_v2($bob, 'bob/older', "i$_", { config => $index, layers => [ layer("l$_") ] }) for 1 .. 6;
    is_status($ann->put_manifest('team/index', 'v1', $index), 201, 'ann: an index');
    is_status($v1->put_tag('team/index', 'v2', hex_of($index)), 200, 'a tag by its id, which others have as a config');
    is($ann->head('/v2/team/index/manifests/v2')->header('Docker-Content-Digest'), digest($index), '... names the index');
};

subtest 'an image that is not complete' => sub {
    my $image = Registry::V1::random_image();
    my $other = fake($image->{id});
    is_status($v1->put_json($image), 200, 'ann: a JSON');
    is_v1_error($bobs_v1->put_json($other), 409, 'bob has another one');
    isnt($bobs_v1->put_json($other)->json->{error}, 'Image already exists', '... and does not take it for complete');
    is_v1_error($bobs_v1->put_layer($image), 409, '... or a layer');
    is_status($v1->put_layer($image), 200, 'ann: her layer');
    is_v1_error($bobs_v1->put_json($other),  409, 'bob comes again');
    is_v1_error($bobs_v1->put_layer($other), 409, '... with a layer');
    is_v1_error($bobs_v1->put_checksum($other), 409, '... and a checksum');
    is_v1_error($bobs_v1->put_tag('bob/x', 'fixed', $image->{id}), 409, '... and a tag, which would fix it as it is');
    is($v1->get("/v1/images/$image->{id}/layer")->content, $image->{layer}, 'it is as ann pushed it');
    is_status($v1->put_checksum($image), 200, '... and she completes it');
    is_taken($bobs_v1->put_json($image), 'then all may rely on it');
};

is_tidy($registry);
# A frame of zstd with one block that isn't compressed (RFC 8878, 3.1.1).
sub zstd_of ($bytes) { return pack('VCV', 0xfd2fb528, 0xa0, length $bytes) . substr(pack('V', 1 | length($bytes) << 3), 0, 3) . $bytes }

subtest 'the same image in a form that old clients read in another way' => sub {
    my $image = image_of([ layer('one'), layer('two') ]);
    my $tar   = Registry::V1::tar_of([ 'evil', random_bytes(300) ]);
    my %forms = (
        zstd => [ map { pack('VV', 0x184d2a50, length $tar) . $tar . zstd_of($_->{tar}) } @{ $image->{layers} } ],
        tail => [ map { $_->{bytes} . random_bytes(600) } @{ $image->{layers} } ],
    );
    for my $form (sort keys %forms) {
        push_v2($bob, "bob/$form", 'v1', { %$image, layers => [ map { { bytes => $_ } } @{ $forms{$form} } ] });
    }
    push_v2($ann, 'team/form', 'v1', $image);
    ok(wait_for(60, sub { $v1->get("/v1/images/$image->{id}/layer")->content eq $image->{layers}[1]{bytes} }), 'the one that they know is shown');
    shows($image, 'then', 'team/form');
};

subtest 'a complete image, and a manifest that nobody can check' => sub {
    my $config = image_of([ layer('evil') ]);
    my $mine   = fake($config->{id});
    is($_->[1]->status, $_->[2], "ann: $_->[0]") for $v1->push_images('team/keeps', 'v1', $mine);
    substr($config->{layers}[0]{bytes}, -12) = '';
    push_v2($bob, $_, 'evil', $config) for 'bob/damaged', 'team/keeps';
    is(got_layer($mine->{id}), $mine->{layer}, 'the id is that of the image');
    is($v1->get_json($mine->{id})->content, $mine->{json}, '... with its JSON');
    is_deeply([ map { $_->{layer} } @{ $v1->pull_images('team/keeps', 'v1')->{images} } ], [ $mine->{layer} ], '... and for all who pull');
    ok(wait_for(60, sub { $v1->put_tag('team/keeps', 'v2', $mine->{id})->status == 200 }), 'a tag by the id');
    is_deeply([ map { $_->{layer} } @{ $v1->pull_images('team/keeps', 'v2')->{images} } ], [ $mine->{layer} ], '... is one of the image');
    my ($evil, $tagged) = map { $ann->get("/v2/team/keeps/manifests/$_")->header('Docker-Content-Digest') // 'none' } 'evil', 'v2';
    isnt($tagged, $evil, '... by the second API, too');
    my $tags = '/v1/repositories/bob/damaged/tags';
    ok(wait_for(60, sub { $v1->get("$tags/evil")->status == 404 }), 'the tag of the manifest has no id that shows another image');
    is_v1_error($v1->get("$tags/evil"), 404, '... but an answer');
    is_deeply($v1->get($tags)->json, {}, '... nor in the list of tags');
    is_deeply($v1->get('/v1/repositories/bob/damaged/images')->json, [], '... nor in that of images');
};

subtest 'a config with other layers than it tells of' => sub {
    my $image = image_of([ layer('one') ]);
    push_v2($bob, 'bob/false', 'v1', { %$image, layers => [ layer('evil') ] });
    my $mine = fake($image->{id});
    ok(wait_for(60, sub { $v1->put_json($mine)->status == 200 }), 'keeps its id from nobody');
    is_status($v1->put_layer($mine), 200, 'ann: a layer');
    is_status($v1->put_checksum($mine), 200, '... and a checksum');
    push_v2($bob, 'bob/false', 'v1', { %$image, layers => [ layer('evil') ] });
    is(got_layer($image->{id}), $mine->{layer}, 'the id is hers');
    my $tag;
    ok(wait_for(60, sub { $tag = $v1->get('/v1/repositories/bob/false/tags/v1'); $tag->status == 404 }), 'once the layers are compared');
    is_v1_error($tag, 404, '... no tag of the manifest has it');
};

finish();
