# What real clients send: a check for each of them, for each detail of the protocol that has broken some server, and
# for the kinds of HTTP that reach us.
use v5.36;
use Registry limit => 150;
use Registry::Checks;
use Registry::Tools;
use Test::More;

my $registry = Registry->start(args => [ '--cors', 'https://ui.example.com' ]);
my %TYPE     = %Registry::Client::TYPE;
my $UPLOADS  = '/v2/team/app/blobs/uploads/';
my $NEVER    = digest('never pushed');
my $bytes    = random_bytes(300_000);
my $digest   = digest($bytes);
my $image    = $registry->push_image('team/app', 'v1', [$bytes])->header('Docker-Content-Digest');
my $path     = "/v2/team/app/blobs/$digest";

sub place ($response) { return $registry->place_of($response) }
sub location ($what) { return qr{^/v2/team/app/\Q$what\E} }

sub put ($name, $reference, $document, $type = $TYPE{manifest}) { return $registry->put_manifest($name, $reference, $document, $type) }

# ---- clients ----

subtest 'docker engine, and compose' => sub {
    my %agent = ('User-Agent' => 'docker/27.0 go/go1.21 kernel/6.1 os/linux arch/amd64 UpstreamClient(compose/2.29.0)');
    is_status($registry->get('/v2/', headers => {%agent}), 200, 'GET /v2/', 'Docker-Distribution-Api-Version' => 'registry/2.0');
    my $five = join '', in_parallel(5, 60, sub ($i) {
        my $layer   = random_bytes(200_000 + $i);
        my $begun   = $registry->post($UPLOADS, headers => { %agent, 'Content-Length' => 0 });
        my $patched = $registry->patch(place($begun), body => $layer, chunked => 32_768, headers => {%agent});
        my $put     = $registry->put($registry->with_digest(place($patched), digest($layer)), body => '', headers => {%agent});
        my $head    = $registry->head('/v2/team/app/blobs/' . digest($layer), headers => {%agent});
        return join ' ', map({ $_->status } $begun, $patched, $put, $head), $head->header('Content-Length'), "\n";
    });
    is($five, join('', map { "202 202 201 200 " . (200_000 + $_) . " \n" } 0 .. 4), 'five layers at once: POST, one PATCH in chunks, an empty PUT, HEAD');
};

subtest 'containerd, nerdctl, kubelet, buildkit' => sub {
    my $layer = random_bytes(1000);
    my $begun = $registry->post($UPLOADS, headers => { 'Content-Type' => 'text/plain' });
    my $put   = $registry->put($registry->with_digest(place($begun), digest($layer)), body => $layer, headers => { 'Content-Type' => 'text/plain' });
    is_status($put, 201, 'all in the PUT, as text/plain');
    is_status($registry->head('/v2/team/app/manifests/v1?ns=docker.io'), 200, '?ns= is ignored: HEAD by tag', 'Docker-Content-Digest' => $image);
    is_status($registry->get("/v2/team/app/manifests/$image?ns=docker.io"), 200, '... GET by digest', 'Docker-Content-Digest' => $image);
    is_status($registry->get("$path?ns=docker.io&unknown=1"), 200, '... GET of a blob');
    is_error($registry->get("/v2/team/app/blobs/$image"), 404, 'BLOB_UNKNOWN', "a manifest's digest below blobs/: GET");
    is_status($registry->head("/v2/team/app/blobs/$image"), 404, '... HEAD alike');
    my $all = $registry->get($path, headers => { Range => 'bytes=0-' });
    is_status($all, 206, 'Range from the first byte on', 'Content-Range' => 'bytes 0-299999/300000');
    my @parts = in_parallel(4, 60, sub ($i) {
        my $part = $registry->get($path, headers => { Range => sprintf 'bytes=%d-%d', 75_000 * $i, 75_000 * ($i + 1) - 1 });
        return [ $part->status, digest($part->content) ];
    });
    is_deeply(\@parts, [ map { [ 206, digest(substr $bytes, 75_000 * $_, 75_000) ] } 0 .. 3 ], 'four parts at once');
};

subtest 'buildkit: caches' => sub {
    my $type   = 'application/vnd.buildkit.cacheconfig.v0';
    my $config = '{"layers":[{"blob":"x","parent":-1}],"records":[]}';
    $registry->push_blob('team/app', $config);
    my $layer = { %{ $registry->descriptor('layer_gzip', $bytes) }, annotations => { 'containerd.io/uncompressed' => $NEVER } };
    my $index = json_of({ schemaVersion => 2, mediaType => $TYPE{index}, manifests => [ $layer, $registry->descriptor($type, $config) ] });
    is_status(put('team/app', 'cache', $index, $TYPE{index}), 201, 'an index of layers, without platforms');
    is($registry->get('/v2/team/app/manifests/cache')->content, $index, '... comes back');
    my $as_image = json_of({ schemaVersion => 2, mediaType => $TYPE{manifest}, config => $registry->descriptor($type, $config), layers => [$layer] });
    is_status(put('team/app', 'cache-image', $as_image), 201, 'an image with such a config');
    my $other = json_of({ schemaVersion => 2, mediaType => $TYPE{index}, manifests => [ $registry->descriptor('layer', 'x' x 77) ] });
    is_error(put('team/app', 'cache', $other, $TYPE{index}), 404, 'MANIFEST_BLOB_UNKNOWN', 'of a layer that is not there');
};

subtest 'podman, skopeo, buildah, CRI-O' => sub {
    is_status($registry->head("/v2/team/fork/blobs/$digest"), 404, 'HEAD of a candidate');
    is_status($registry->post("/v2/team/fork/blobs/uploads/?from=team%2Fapp&mount=sha256%3A" . substr $digest, 7), 201, 'mount');
    is_status($registry->post($UPLOADS . '?digest=' . digest('old skopeo'), body => 'old skopeo'), 201, 'all in the POST');
    my $rest = $registry->get($path, headers => { Range => 'bytes=123456-' });
    is_status($rest, 206, 'the rest of a broken pull', 'Content-Range' => 'bytes 123456-299999/300000');
    ok($rest->content eq substr($bytes, 123_456), '... its bytes');
    my $page = $registry->get('/v2/team/app/tags/list?n=1');
    like($page->header('Link') // '', qr{^</v2/team/app/tags/list\?n=1&last=\w+>; rel="next"$}, 'list-tags: a Link');
};

subtest 'crane, ko, kaniko, flux' => sub {
    is_status($registry->post("/v2/team/crane/blobs/uploads/?mount=$digest"), 201, 'mount without from', Location => qr/\Q$digest\E$/);
    is_status($registry->post("/v2/team/crane/blobs/uploads/?mount=$NEVER"), 202, '... of what is not there', Location => qr/uploads/);
    my $list = $registry->get('/v2/team/app/tags/list?n=1000');
    is_status($list, 200, 'tags/list?n=1000', Link => undef);
    is_status($registry->head('/v2/team/app/manifests/v1'), 200, 'HEAD of a manifest', 'Docker-Content-Digest' => $image,
        'Content-Type' => $TYPE{manifest}, 'Content-Length' => qr/^[1-9]\d*$/);
};

subtest 'jib: many PATCHes to one repository at once' => sub {
    my @layers = map { random_bytes(50_000) } 1 .. 6;
    my @open   = map { my $c = $registry->connect; [ $c, $registry->start_upload('team/app') ] } @layers;
    $_->[0]->send($registry->head_of('PATCH', $_->[1], headers => { 'Transfer-Encoding' => 'chunked' })) for @open;
    for my $at (0, 25_000) {
        $open[$_][0]->send_chunk(substr $layers[$_], $at, 25_000) for 0 .. $#layers;
    }
    $_->[0]->send_chunk('') for reverse @open;
    is(scalar(grep { $_->[0]->response('PATCH')->status == 202 } @open), 6, 'none waits for another');
    is_status($registry->put($registry->with_digest($open[$_][1], digest($layers[$_])), body => ''), 201, "upload $_ is whole") for 0 .. $#layers;
};

subtest 'regclient, regctl' => sub {
    my $layer = random_bytes((1 << 20) + 10);
    my $begun = $registry->post($UPLOADS);
    my $first = $registry->patch(place($begun), body => substr($layer, 0, 1 << 20), headers => { 'Content-Range' => '0-1048575' });
    is_status($first, 202, 'PATCH is 202', Range => '0-1048575', Location => location('blobs/uploads/'));
    is_status($registry->get(place($first)), 204, 'GET of the upload', Range => '0-1048575', Location => location('blobs/uploads/'));
    my $put = $registry->put($registry->with_digest(place($first), digest($layer, 'sha512')), body => substr($layer, 1 << 20),
        headers => { 'Content-Range' => '1048576-1048585' });
    is_status($put, 201, 'a last chunk, and sha512', 'Docker-Content-Digest' => digest($layer, 'sha512'));
    my $cancel = $registry->start_upload('team/app');
    is_status($registry->delete($cancel), 204, 'DELETE of an upload');
    my $min = $registry->post($UPLOADS)->header('OCI-Chunk-Min-Length');
    ok(!defined $min || $min =~ /^\d+$/, 'a minimum for chunks is a number, and advice: smaller ones were taken');
};

sub artifact ($type, $subject, %more) {
    return json_of({ schemaVersion => 2, mediaType => $TYPE{manifest}, artifactType => $type, layers => [ $registry->descriptor($type, $bytes) ],
        config => $registry->descriptor('application/vnd.oci.empty.v1+json', '{}'), $subject ? (subject => $subject) : (), %more });
}

subtest 'oras, helm' => sub {
    is_status($registry->push_blob('team/app', '{}', way => 'post'), 201, 'the empty config, all in the POST');
    is_status($registry->push_blob('team/app', '', way => $_), 201, "a blob of zero bytes, $_") for qw(post put patch);
    my $chart = json_of({ schemaVersion => 2, config => $registry->descriptor('application/vnd.cncf.helm.config.v1+json', '{}'),
        layers => [ $registry->descriptor('application/vnd.cncf.helm.chart.content.v1.tar+gzip', $bytes), $registry->descriptor('text/plain', '') ] });
    is_status(put('team/app', 'chart', $chart), 201, 'a chart without mediaType');
    my $document = artifact('application/vnd.example.sbom', { mediaType => $TYPE{manifest}, digest => $image, size => 10 });
    is_status(put('team/app', digest($document), $document), 201, 'an artifact with a subject', 'OCI-Subject' => $image);
};

subtest 'cosign, notation' => sub {
    my $type   = 'application/vnd.dev.sigstore.bundle.v0.3+json';
    my $bundle = artifact($type, { mediaType => $TYPE{manifest}, digest => $image, size => 10 });
    is_status(put('team/app', digest($bundle), $bundle), 201, 'a bundle', 'OCI-Subject' => $image);
    my $found = $registry->get("/v2/team/app/referrers/$image?artifactType=" . $type =~ s/\+/%2B/r =~ s{/}{%2F}r);
    is_status($found, 200, 'is found by its type', 'OCI-Filters-Applied' => 'artifactType');
    is_deeply([ map { $_->{digest} } @{ $found->json->{manifests} } ], [ digest($bundle) ], '... alone');
    is_deeply($registry->get("/v2/no/where/referrers/$image")->json->{manifests}, [], 'nothing, for a repository that is not there');
    my $tag = $image =~ s/:/-/r;
    is_status(put('team/app', "$tag.$_", artifact("x/$_", undef)), 201, "a tag .$_") for qw(sig att sbom);
    my $old = artifact('application/vnd.old', undef);
    put('team/app', digest($old), $old);
    my $index = json_of({ schemaVersion => 2, mediaType => $TYPE{index}, manifests => [ $registry->descriptor('manifest', $old) ] });
    is_status(put('team/app', $tag, $index, $TYPE{index}), 201, 'the fallback tag');
    my @all = map { $_->{digest} } @{ $registry->get("/v2/team/app/referrers/$image")->json->{manifests} };
    is(scalar(grep { $_ eq digest($old) } @all), 1, '... is folded into the referrers');
};

subtest 'apple/container, mise, .NET: again from the first byte' => sub {
    my $place = $registry->start_upload('team/app');
    $registry->patch($place, body => 'x' x 1000);
    is_status($registry->patch($place, body => 'x' x 1000, headers => { 'Content-Range' => '0-999' }), 416, 'in the same upload',
        Range => '0-999', Location => location('blobs/uploads/'));
    is_status($registry->delete($place), 204, '... which is given up');
    is_status($registry->push_blob('team/app', 'x' x 1000), 201, 'a new one always works');
};

subtest 'trivy, grype, syft; watchtower, diun, argocd, flux' => sub {
    is_status(put('team/app', 'db', artifact('application/vnd.aquasec.trivy.db.layer.v1.tar+gzip', undef)), 201, 'a database as an artifact');
    my @accept = (@TYPE{qw(manifest index docker_manifest docker_list)}, 'application/vnd.docker.distribution.manifest.v1+prettyjws', '*/*');
    for my $accept ([@accept], join(', ', @accept), 'application/vnd.oci.image.index.v1+json;q=0.5', 'text/html') {
        is_status($registry->head('/v2/team/app/manifests/v1', headers => { Accept => $accept }), 200, 'HEAD with any Accept', ETag => qq("$image"));
    }
    is_status($registry->head('/v2/team/app/manifests/v1', headers => { 'If-None-Match' => qq("$image") }), 304, 'nothing new', ETag => qq("$image"));
    is_status($registry->head('/v2/team/app/manifests/none'), 404, 'nothing there');
};

subtest 'enroot, curl' => sub {
    is_status($registry->get('/v2/team/app/manifests/v1', headers => { Accept => '*/*' }), 200, 'Accept: */*', 'Content-Type' => $TYPE{manifest});
    is_status($registry->get('/v2/team/app/manifests/v1'), 200, 'no Accept', 'Content-Type' => $TYPE{manifest});
};

subtest 'docker-registry-ui in a browser, Portainer' => sub {
    my %page = (Origin => 'https://ui.example.com');
    my $preflight = $registry->request('OPTIONS', '/v2/team/app/manifests/v1', headers => { %page, 'Access-Control-Request-Method' => 'DELETE' });
    ok($preflight->status =~ /^20[04]$/, 'a preflight') or diag($preflight->describe);
    is($preflight->header('Access-Control-Allow-Origin'), $page{Origin}, '... is answered');
    my $catalog = $registry->get('/v2/_catalog?n=100000', headers => {%page});
    is_status($catalog, 200, '_catalog?n=100000 is clamped', 'Access-Control-Allow-Origin' => $page{Origin});
    is_deeply($catalog->json->{repositories}, ['team/app'], '... repositories without a manifest are not listed');
    put('team/ui', 'x', json_of({ schemaVersion => 2, mediaType => $TYPE{index}, manifests => [] }), $TYPE{index});
    my $head = $registry->head('/v2/team/ui/manifests/x', headers => { %page, 'Cache-Control' => 'no-store, no-cache' });
    like($head->header('Access-Control-Expose-Headers') // '', qr/Docker-Content-Digest/, 'the digest is exposed');
    is_status($registry->delete('/v2/team/ui/manifests/' . $head->header('Docker-Content-Digest'), headers => {%page}), 202, 'DELETE by that digest');
};

subtest 'nydus, stargz, SOCI, Dragonfly' => sub {
    my $connection = $registry->connect;
    my $good = 0;
    for my $i (1 .. 300) {
        my $at   = ($i * 7919) % 299_000;
        my $part = $registry->get($path, on => $connection, headers => { Range => sprintf 'bytes=%d-%d', $at, $at + 511 });
        $good++ if $part->status == 206 && $part->content eq substr $bytes, $at, 512;
    }
    is($good, 300, 'small ranges over one connection');
    is_status($registry->head($path), 200, 'HEAD for the size', 'Content-Length' => 300_000, 'Accept-Ranges' => 'bytes');
    my $many = $registry->get($path, headers => { Range => 'bytes=0-9,100-109' });
    ok($many->status == 206 || $many->status == 200 && $many->content eq $bytes, 'several ranges: those, or the whole');
};

# ---- details that have broken servers; the numbers are ours ----

subtest 'details' => sub {
    my $begun = $registry->post($UPLOADS);
    is_status($begun, 202, '1: an upload of nothing is at 0-0', Range => '0-0');
    my ($place, $at) = (place($begun), 0);
    for my $form ('%d-%d', 'bytes %d-%d/*', 'bytes=%d-%d', 'bytes %d-%d/100000') {
        is_status($registry->patch($place, body => 'a' x 100, headers => { 'Content-Range' => sprintf $form, $at, $at + 99 }), 202,
            "2: Content-Range $form", Range => '0-' . ($at + 99));
        $at += 100;
    }
    my $end = $registry->with_digest($place, digest('a' x 500));
    is_error($registry->put($end, body => 'a' x 100, headers => { 'Content-Range' => '300-399' }), 416, 'BLOB_UPLOAD_INVALID', '3: PUT out of order');
    is_status($registry->get($place), 204, '... appends nothing', Range => '0-399');
    is_status($registry->patch($place, body => 'a' x 100, headers => { 'Content-Range' => '300-399' }), 416, '4: a repeated PATCH',
        Range => '0-399', Location => location('blobs/uploads/'));
    is_status($registry->put($end, body => 'a' x 100), 201, '... the last PUT', Location => location('blobs/'));
    is_status($registry->put($end, body => 'a' x 100), 201, '4: the same once more', Location => location('blobs/'));

    $place = $registry->start_upload('team/app');
    my $joined = $place . ($place =~ /\?/ ? '&' : '?') . 'digest=' . digest('five') =~ s/:/%3A/r;
    is_status($registry->put($joined, body => 'five'), 201, '5: Location verbatim, %3A in the digest');
    is_status($registry->get('/v2/team/app/blobs/' . $digest =~ s/:/%3A/r), 200, '5: %3A in a path');
    is_status($registry->get('/v2/team/app/manifests/' . $image =~ s/:/%3a/r), 200, '5: %3a in a path');

    my $page = $registry->get('/v2/_catalog?n=1');
    is($page->header('Link'), undef, '6: no Link behind the last page');
    put('team/other', 'x', json_of({ schemaVersion => 2, mediaType => $TYPE{index}, manifests => [] }), $TYPE{index});
    $page = $registry->get('/v2/_catalog?n=1');
    is($page->header('Link'), '</v2/_catalog?n=1&last=team/app>; rel="next"', '6: a relative Link');
    is_status($registry->get('/v2/_catalog?n=1&last=team%2Fapp'), 200, '6: an escaped last');
    is($registry->get('/v2/team/app/tags/list?n=0')->content, '{"name":"team/app","tags":[]}', '6, 7: n=0 is an empty list, not null');
    $registry->delete('/v2/team/other/manifests/x');
    is($registry->get('/v2/team/other/tags/list')->content, '{"name":"team/other","tags":[]}', '7: so are no tags');
    is($registry->get('/v2/_catalog?n=0')->content, '{"repositories":[]}', '7: and no repositories');

    for my $what ($path, '/v2/team/app/manifests/v1') {
        for my $method (qw(get head)) {
            is_status($registry->$method($what), 200, "8: $method", 'Docker-Content-Digest' => qr/^sha256:[0-9a-f]{64}$/, 'Content-Type' => qr/^[^;]+$/);
        }
    }
    is_error($registry->get('/v2/team/app/manifests/sha256:12'), 400, 'DIGEST_INVALID', '9: a bad digest is no tag');
    is_error($registry->put($registry->start_upload('team/app') . '?digest=sha256:zz', body => ''), 400, 'DIGEST_INVALID', '9: nor a server error');
    is($registry->$_('/v2/none/such/tags/list')->header('Docker-Distribution-Api-Version'), 'registry/2.0', "11: the version, $_ of an error")
        for qw(get head put delete);
};

subtest '12: names, 13: bytes' => sub {
    my $tag  = 'T' . 'x' x 127;
    my $odd  = qq(\n{ "manifests" : [ ]\t,"schemaVersion":2,\r\n"annotations":{"\xc3\xa9":"\\u00e9\\/"} }\n\n);
    my @long = ('x' x 255, 'a/' x 127 . 'b', 'n' x 100 . '/' . 'm' x 154);
    for my $name ('a-----b', 'a__b', 'a_b', 'a.b', '0', 'a/b-c/d__e/f.g', @long) {
        is_status(put($name, $tag, $odd, $TYPE{index}), 201, 'repository ' . substr($name, 0, 20) . ', a tag of 128 letters');
        is($registry->get("/v2/$name/manifests/$tag")->content, $odd, '... the very bytes');
    }
    is_error(put($_, 'x', $odd, $TYPE{index}), 400, 'NAME_INVALID', 'no repository: ' . substr $_, 0, 20) for "$long[0]x", 'A', 'a--_b', 'a.-b', 'a...b';
    is_error(put('a', $_, $odd, $TYPE{index}), 400, 'TAG_INVALID', 'no tag: ' . substr $_, 0, 20) for "${tag}x", '.x', '-x';
    is(scalar @{ $registry->get('/v2/_catalog?n=1000')->json->{repositories} }, 11, 'all are listed');
};

# ---- HTTP ----

subtest '14: kinds of HTTP' => sub {
    my $old = $registry->raw("GET $path HTTP/1.0\r\nHost: x\r\n\r\n");
    is_status($old, 200, 'HTTP/1.0');
    ok($old->content eq $bytes, '... the bytes');
    is_status($registry->raw("GET /v2/ HTTP/1.0\r\n\r\n"), 200, 'HTTP/1.0 without Host');
    my $begun = $registry->raw("POST $UPLOADS HTTP/1.0\r\n\r\n", 'POST');
    is_status($begun, 202, 'HTTP/1.0: POST without a length', Location => qr{^/v2/});
    is_status($registry->raw('PATCH ' . place($begun) . " HTTP/1.0\r\nContent-Length: 3\r\n\r\nabc", 'PATCH'), 202, '... PATCH', Range => '0-2');
    my $patched = $registry->patch(place($begun), body => 'def', expect => 1);
    is_status($patched, 202, 'Expect: 100-continue', Range => '0-5');
    is($patched->continued, 1, '... was told to go on');
    is_status($registry->put($registry->with_digest(place($begun), digest('abcdef')), body => '', chunked => 1), 201, 'a chunked body of zero bytes');
    is_status($registry->patch(place($registry->post($UPLOADS)), body => $bytes, chunked => 1, expect => 1), 202, 'chunks that are expected');
};

subtest 'HTTP/2 over TLS' => sub {
    plan skip_all => 'curl with HTTP/2 is not installed' if !find_program('curl') || run([ 'curl', '--version' ])->{out} !~ /\bHTTP2\b/;
    my $tmp = tempdir();
    my ($cert, $key) = make_certificate($tmp, 'registry');
    my $secure = Registry->start(args => [ '--tls-cert', $cert, '--tls-key', $key ]);
    my $root   = 'https://127.0.0.1:' . $secure->port;
    spew("$tmp/layer", $bytes);
    my $curl = sub (@args) { return run([ 'curl', '-s', '-S', '--http2', '--cacert', $cert, '-D', '-', @args ])->{out} };
    my $begun = $curl->('-X', 'POST', "$root$UPLOADS");
    like($begun, qr{^HTTP/2 202}, 'POST');
    my ($place) = $begun =~ /^location: (\S+?)\r?$/mi;
    like($curl->('-T', "$tmp/layer", '-X', 'PATCH', "$root$place"), qr{^HTTP/2 202.*^range: 0-299999\r?$}msi, 'PATCH with a length');
    my $more = run([ 'sh', '-c', "curl -s -S --http2 --cacert '$cert' -D - -X PATCH -T - '$root$place' <'$tmp/layer'" ])->{out};
    like($more, qr{^HTTP/2 202.*^range: 0-599999\r?$}msi, 'PATCH without one');
    like($curl->('-X', 'PUT', "$root$place?digest=" . digest($bytes . $bytes)), qr{^HTTP/2 201}, 'PUT');
    my $pull = "$root/v2/team/app/blobs/" . digest($bytes . $bytes);
    like($curl->('-I', $pull), qr{^HTTP/2 200.*^content-length: 600000\r?$}msi, 'HEAD');
    run([ 'curl', '-s', '--http2', '--cacert', $cert, '-o', "$tmp/back", $pull ]);
    ok(slurp("$tmp/back") eq $bytes . $bytes, 'GET');
    like($curl->('-r', '10-19', '-o', '/dev/null', $pull), qr{^HTTP/2 206.*^content-range: bytes 10-19/600000\r?$}msi, 'a range');
    like($curl->("$root/v2/none/tags/list"), qr{^HTTP/2 404.*"NAME_UNKNOWN"}ms, 'an error');
    for my $bad ('a%00b', 'a%', 'a%2Fb', 'a/../b') {
        like($curl->('--path-as-is', "$root/v2/$bad/tags/list"),
            qr{^HTTP/2 400.*^docker-distribution-api-version: registry/2\.0\r?\n.*^\{"errors":\[\{"code":"[A-Z_]+"}msi, "refused: $bad");
    }
    $secure->stop;
};

# nginx puts any body that is sent to the path of an upload into a file.
subtest 'a body that means nothing' => sub {
    my $place = place($registry->post($UPLOADS));
    for my $chunked (0, 1) {
        my $how = $chunked ? 'in chunks' : 'with a length';
        is_status($registry->request($_, $place, body => '{}', chunked => $chunked), 204, "$_ of an upload, $how") for 'GET', 'HEAD';
        is_status($registry->request(GET => "/v1/images/$_/layer", body => '{}', chunked => $chunked), 404, "GET of a layer, $how",
            'X-Docker-Registry-Version' => qr/./) for 'ab' x 32;
    }
    is_status($registry->delete($place, body => '{}'), 204, 'DELETE of the upload');
    is_status($registry->get($place), 404, '... which is gone');
    ok(wait_for(5, sub { !$registry->files('uploads/body') }), '... and no body is left');
};

$registry->stop;

# ---- uploads in progress, and restarts ----

for my $signal (qw(TERM KILL)) {
    subtest "an upload goes on after SIG$signal of all" => sub {
        my $first  = Registry->start;
        my $begun  = $first->post($UPLOADS);
        my $place  = place($begun);
        is_status($first->patch($place, body => substr($bytes, 0, 100_000)), 202, 'a first chunk', Range => '0-99999');
        my $fresh  = place($first->post($UPLOADS));
        my $broken = $first->connect;
        $broken->send($first->head_of('PATCH', $place, headers => { 'Transfer-Encoding' => 'chunked' }));
        $broken->send_chunk(substr $bytes, 0, 290_000);
        ok(wait_for(5, sub { $first->files('uploads/body') }), 'a second one is under way') if $signal eq 'KILL';
        if ($signal eq 'TERM') {
            $broken->close;
            $first->stop;
        } else {
            kill 'KILL', $first->pid, $first->processes;
            $first->crash;
        }
        my $again = Registry->start(dir => $first->dir, expected => qr/recover/);
        is_status($again->get($place), 204, 'after the restart it is where it was', Range => '0-99999');
        is_status($again->get($fresh), 204, '... another still at its beginning', Range => '0-0');
        my $rest = $again->patch($place, body => substr($bytes, 100_000, 100_000), headers => { 'Content-Range' => '100000-199999' });
        is_status($rest, 202, 'the next chunk', Range => '0-199999');
        is_status($again->put($again->with_digest($place, $digest), body => substr $bytes, 200_000), 201, '... and the end');
        is_blob($again, 'team/app', $bytes, 'the blob is whole');
        is_status($again->delete($fresh), 204, 'the other one is given up');
        is_tidy($again);
        $again->stop;
    };
}

finish();
