# Manifests come back byte for byte, by tag and by digest, and only whole images get a name.
use v5.36;
use Registry limit => 90;
use Registry::Checks;
use Registry::Tools;
use Test::More;

my $registry = Registry->start;
my %TYPE     = %Registry::Client::TYPE;
my $layer    = random_bytes(20_000);
my ($config, $manifest) = $registry->image_of([$layer]);
is_status($registry->push_blob('a/b', $_), 201, 'a blob is pushed') for $layer, $config, '{}', '';

sub descriptor_of ($bytes, $type = 'layer') { return $registry->descriptor($type, $bytes) }

# A manifest with other members than usual.
sub manifest_with (%members) {
    return json_of({
        schemaVersion => 2, mediaType => $TYPE{manifest},
        config => descriptor_of($config, 'config'), layers => [ descriptor_of($layer) ], %members,
    });
}

sub put ($reference, $bytes, $type = $TYPE{manifest}) { return $registry->put_manifest('a/b', $reference, $bytes, $type) }

subtest 'four types' => sub {
    my (undef, $docker) = $registry->image_of([$layer], kind => 'docker');
    my ($docker_config) = $registry->image_of([$layer], kind => 'docker');
    $registry->push_blob('a/b', $docker_config);
    my $child = descriptor_of($manifest, 'manifest');
    my $other = descriptor_of($docker, 'docker_manifest');
    $child->{platform} = $other->{platform} = { os => 'linux', architecture => 'amd64' };
    my @documents = (
        [ manifest        => $manifest ],
        [ docker_manifest => $docker ],
        [ index           => json_of({ schemaVersion => 2, mediaType => $TYPE{index}, manifests => [ $child, $other ] }) ],
        [ docker_list     => json_of({ schemaVersion => 2, mediaType => $TYPE{docker_list}, manifests => [$other] }) ],
    );
    for my $pair (@documents) {
        my ($kind, $bytes) = @$pair;
        my $digest = digest($bytes);
        is_status(put("tag-$kind", $bytes, $TYPE{$kind}), 201, "PUT $kind", 'Docker-Content-Digest' => $digest,
            Location => qr{^/v2/a/b/manifests/(?:\Q$digest\E|tag-\Q$kind\E)$});
        for my $reference ("tag-$kind", $digest, $digest =~ s/:/%3A/r) {
            my %wanted = (
                'Content-Type' => $TYPE{$kind}, 'Content-Length' => length $bytes, 'Docker-Content-Digest' => $digest,
                ETag => qq("$digest"), 'Docker-Distribution-Api-Version' => 'registry/2.0',
            );
            is_status(my $get = $registry->get("/v2/a/b/manifests/$reference"), 200, "GET $reference", %wanted);
            is($get->content, $bytes, '... byte for byte');
            is_status(my $head = $registry->head("/v2/a/b/manifests/$reference"), 200, 'HEAD', %wanted);
            delete $_->{headers}{date} for $get, $head;
            is_deeply($head->{headers}, $get->{headers}, '... with the headers of GET');
        }
    }
};

subtest 'byte for byte' => sub {
    my $empty = '"size":2,"digest":"' . digest('{}') . '","mediaType":"application\\/vnd.oci.empty.v1+json"';
    my $odd   = qq({\n\t"mediaType" : "$TYPE{manifest}",\r\n "annotations":{"\xc3\xa4":"\\u00e4 \\/ \xe2\x82\xac"},\n)
        . qq("layers":[  ],"config":{$empty} ,"schemaVersion":2}\n\n);
    is_status(put('odd', $odd), 201, 'blanks, escapes, an order of its own, a new line at the end');
    is($registry->get('/v2/a/b/manifests/odd')->content, $odd, '... come back');
    my $artifact = manifest_with(
        artifactType => 'application/vnd.example.thing',
        config => descriptor_of('{}', 'application/vnd.oci.empty.v1+json'), layers => [ descriptor_of('') ],
    );
    is_status(put('artifact', $artifact), 201, 'an artifact with an empty blob');
    my $plain = manifest_with();
    $plain =~ s/"mediaType":"\Q$TYPE{manifest}\E",?//;
    is_status(put('plain', $plain), 201, 'a manifest that does not say its type');
    is_status($registry->get('/v2/a/b/manifests/plain'), 200, '... has the one it was sent with',
        'Content-Type' => $TYPE{manifest});
    is_status(put('params', $manifest, "$TYPE{manifest}; charset=utf-8"), 201, 'a type with parameters');
    is_status($registry->get('/v2/a/b/manifests/params'), 200, '... is served without them', 'Content-Type' => $TYPE{manifest});
    my $chunked = $registry->put('/v2/a/b/manifests/chunks', body => $manifest, chunked => 1,
        headers => { 'Content-Type' => $TYPE{manifest} });
    is_status($chunked, 201, 'in chunks');
};

subtest 'large ones' => sub {
    for my $size (60_000, 70_000, 1_000_000, 4 << 20) {
        my $large = manifest_with(annotations => { fill => '' });
        substr($large, index($large, '"fill":"') + 8, 0) = 'x' x ($size - length $large);
        is(length $large, $size, "$size bytes");
        is_status(put("size-$size", $large), 201, '... are taken');
        ok($registry->get("/v2/a/b/manifests/size-$size")->content eq $large, '... and come back');
        is_status($registry->head("/v2/a/b/manifests/size-$size"), 200, '... HEAD', 'Content-Length' => $size);
    }
    is_error(put('too-large', manifest_with(annotations => { fill => 'x' x (4 << 20) })), 413, 'SIZE_INVALID', 'more than 4 MiB');
    is_status($registry->get('/v2/a/b/manifests/too-large'), 404, '... is not there');
    my @many = (descriptor_of($layer)) x 999;
    is_status(put('many', manifest_with(layers => \@many)), 201, '1000 descriptors');
    is_error(put('too-many', manifest_with(layers => [ @many, @many ])), [ 400, 413 ],
        qr/^(MANIFEST|SIZE)_INVALID$/, 'more descriptors');
};

subtest 'by digest' => sub {
    my $untagged = manifest_with(annotations => { untagged => 'yes' });
    my $digest   = digest($untagged);
    is_error($registry->get("/v2/a/b/manifests/$digest"), 404, 'MANIFEST_UNKNOWN', 'not there yet');
    is_error(put('sha256:' . '0' x 64, $untagged), 400, 'DIGEST_INVALID', 'PUT under another digest');
    is_status(put($digest, $untagged), 201, 'PUT under its own', 'Docker-Content-Digest' => $digest);
    is($registry->get("/v2/a/b/manifests/$digest")->content, $untagged, '... and it comes back');
    is_error($registry->get("/v2/a/b/manifests/$_"), 400, qr/./, "no digest: $_") for 'sha256:12', 'sha256:' . 'G' x 64;
};

subtest 'what one has already' => sub {
    my $digest = digest($manifest);
    is_status(put('have', $manifest), 201, 'PUT');
    for my $reference ('have', $digest) {
        my $asked = sub ($tag) { $registry->get("/v2/a/b/manifests/$reference", headers => { 'If-None-Match' => qq("$tag") }) };
        is_status($asked->($digest), 304, "$reference: the same");
        is_status($asked->('other'), 200, '... another');
        is_status($registry->get("/v2/a/b/manifests/$reference", headers => { 'If-None-Match' => $digest }), 304, '... the same, without quotes');
    }
};

subtest 'Accept does not matter' => sub {
    put('accept', $manifest);
    for my $accept (undef, '*/*', $TYPE{docker_manifest}, 'application/json', 'text/html', [ @TYPE{qw(docker_manifest index)} ]) {
        my $headers = defined $accept ? { Accept => $accept } : {};
        is_status($registry->get('/v2/a/b/manifests/accept', headers => $headers), 200,
            ref $accept ? 'several' : $accept // 'none', 'Content-Type' => $TYPE{manifest});
    }
};

subtest 'parts that are missing' => sub {
    my $gone = digest('never pushed');
    my %bad  = (
        'a layer'  => manifest_with(layers => [ descriptor_of($layer), descriptor_of('never pushed') ]),
        'a config' => manifest_with(config => descriptor_of('never pushed', 'config')),
    );
    for my $name (sort keys %bad) {
        my $response = put('missing', $bad{$name});
        is_error($response, 404, 'MANIFEST_BLOB_UNKNOWN', $name);
        like($response->content, qr/\Q$gone\E/, '... is named');
    }
    my $index = json_of({
        schemaVersion => 2, mediaType => $TYPE{index},
        manifests => [ descriptor_of('never pushed', 'manifest') ],
    });
    is_error(put('missing', $index, $TYPE{index}), 404, qr/^MANIFEST_(BLOB_)?UNKNOWN$/, 'a manifest of an index');
    is_error($registry->get('/v2/a/b/manifests/missing'), 404, 'MANIFEST_UNKNOWN', 'no tag points to any of them');
    is_error($registry->get('/v2/a/b/manifests/' . digest($_)), 404, 'MANIFEST_UNKNOWN', 'nor are they there')
        for values %bad, $index;

    $registry->push_blob('c/d', 'x');
    is_error($registry->put_manifest('c/d', 'x', $manifest), 404, 'MANIFEST_BLOB_UNKNOWN',
        "another repository's blobs don't count");

    my $cache = json_of({ schemaVersion => 2, mediaType => $TYPE{index}, manifests => [ descriptor_of($layer) ] });
    is_status(put('cache', $cache, $TYPE{index}), 201, 'an index of layers (a build cache)');
};

subtest 'what is no manifest' => sub {
    my $deep = manifest_with(annotations => {});
    substr($deep, index($deep, '{}'), 2) = '[' x 100 . ']' x 100;
    my %bad = (
        'nothing'           => '',
        'no JSON'           => 'hello',
        'half of one'       => substr($manifest, 0, 100),
        'two of them'       => "$manifest$manifest",
        'a list'            => '[]',
        'a number'          => '1',
        'an empty object'   => '{}',
        'schema version 1'  => manifest_with(schemaVersion => 1),
        'no config'         => json_of({ schemaVersion => 2, mediaType => $TYPE{manifest}, layers => [] }),
        'a text as layers'  => manifest_with(layers => 'x'),
        'no digest'         => manifest_with(layers => [ { mediaType => $TYPE{layer}, size => 1 } ]),
        'a bad digest'      => manifest_with(layers => [ { mediaType => $TYPE{layer}, size => 1, digest => 'sha256:../../x' } ]),
        'a negative size'   => manifest_with(layers => [ { %{ descriptor_of($layer) }, size => -1 } ]),
        'an index, too'     => manifest_with(manifests => []),
        'nested too deeply' => $deep,
        'another type'      => manifest_with(mediaType => $TYPE{docker_manifest}),
    );
    is_error(put('bad', $bad{$_}), 400, 'MANIFEST_INVALID', $_) for sort keys %bad;
    is_error(put('bad', $manifest, $_), 400, qr/^(MANIFEST_INVALID|UNSUPPORTED)$/, "sent as '$_'")
        for $TYPE{index}, $TYPE{docker_manifest}, 'text/plain', 'application/json',
        'application/vnd.docker.distribution.manifest.v1+prettyjws';
    is_error($registry->get('/v2/a/b/manifests/bad'), 404, 'MANIFEST_UNKNOWN', 'none of them is there');
};

subtest 'names' => sub {
    is_status(put($_, $manifest), 201, "tag $_") for 'v1', '_', 'A.b-c_D', '1.0', 't' x 128;
    is_error(put($_, $manifest), [ 400, 404 ], qr/./, "no tag: $_") for '-a', '.a', 'a%20b', 'a%2Bb', 't' x 129, 'a:b';
    is_error($registry->get('/v2/a/b/manifests/none'), 404, 'MANIFEST_UNKNOWN', 'no such tag');
    is_error($registry->get('/v2/no/such/manifests/none'), 404, 'NAME_UNKNOWN', 'no such repository');
    is_status($registry->head('/v2/no/such/manifests/none'), 404, '... by HEAD');
    for my $name ('a/blobs/uploads', 'x/manifests/y', 'tags/list', 'a/manifests') {
        $registry->push_blob($name, $_) for $layer, $config;
        is_status($registry->put_manifest($name, 'v1', $manifest), 201, "repository $name");
        is($registry->get("/v2/$name/manifests/v1")->content, $manifest, '... comes back');
    }
};

subtest 'a tag moves' => sub {
    my $second = manifest_with(annotations => { second => 'yes' });
    put('moving', $manifest);
    is_status(put('moving', $second), 201, 'PUT of another manifest');
    is($registry->get('/v2/a/b/manifests/moving')->content, $second, 'the tag names the new one');
    is_status($registry->get('/v2/a/b/manifests/' . digest($manifest)), 200, 'the old one is still there');
    is_status(put('moving', $second), 201, 'the same once more');
};

is_error($registry->post('/v2/a/b/manifests/v1', body => ''), 405, 'UNSUPPORTED', 'POST of a manifest');
is_tidy($registry);
finish();
