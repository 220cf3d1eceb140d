# Every error under /v2/, whoever makes it: its status, a code of the specification, and a detail that tells a person
# what it is about, what was expected and what to do.
use v5.36;
use Registry limit => 120;
use MIME::Base64 qw(encode_base64);
use Registry::Checks;
use Registry::Tools;
use Test::More;

# OCI distribution-spec 1.1, "Error Codes"; TAG_INVALID is docker's, UNAVAILABLE what clients know of others.
my %CODES = map { $_ => 1 } qw(
    BLOB_UNKNOWN BLOB_UPLOAD_INVALID BLOB_UPLOAD_UNKNOWN DIGEST_INVALID MANIFEST_BLOB_UNKNOWN MANIFEST_INVALID
    MANIFEST_UNKNOWN NAME_INVALID NAME_UNKNOWN SIZE_INVALID UNAUTHORIZED DENIED UNSUPPORTED TOOMANYREQUESTS
    TAG_INVALID UNAVAILABLE
);

my $registry = Registry->start(
    user     => 'ann:secret',
    args     => [ '--user', 'ann:secret', '--max-blob-size', '1M', '--max-tags', 2, '--max-repositories', 4, '--max-uploads', 4 ],
    expected => qr/api\.sock/,
);
my %TYPE  = %Registry::Client::TYPE;
my $layer = random_bytes(1000);
my ($config, $manifest) = $registry->image_of([$layer]);
is_status($registry->push_image('a/b', $_, [$layer]), 201, "an image $_") for 'v1', 'v2';
is_status($registry->push_blob('c/d', 'x'), 201, 'another repository');

my ($digest, $its)  = (digest($layer), digest($manifest));
my ($none, $none512) = (digest('none'), digest('none', 'sha512'));
my $place = $registry->start_upload('a/b');
is_status($registry->patch($place, body => 'abc'), 202, 'an upload has begun');
my ($upload) = $place =~ m{([^/]+)$};
my $basic = { Authorization => 'Basic ' . encode_base64('ann:wrong', '') };
my $nobody = { Authorization => 'none' };
my $head   = "Host: x\r\nConnection: close\r\nAuthorization: Basic " . encode_base64('ann:secret', '') . "\r\n";

sub document (%members) {
    return json_of({
        schemaVersion => 2, mediaType => $TYPE{manifest}, config => $registry->descriptor('config', $config),
        layers => [ $registry->descriptor('layer', $layer) ], %members,
    });
}
sub typed ($type, $body) { return (headers => { 'Content-Type' => $type }, body => $body) }
sub of (@members) { return { repository => 'a/b', @members } }

my $M = '/v2/a/b/manifests';
my $B = '/v2/a/b/blobs';
my @rows = (
    # name, status, code, method, path, { options }, { detail }
    [ 'a name', 400, 'NAME_INVALID', GET => '/v2/A/b/tags/list', {}, { found => 'A/b', expected => qr/lowercase letters/ } ],
    [ 'a tag', 400, 'TAG_INVALID', PUT => "$M/-x", { typed($TYPE{manifest}, $manifest) }, of(reference => '-x', found => '-x', expected => qr/127/) ],
    [ 'a tag among several', 400, 'TAG_INVALID', PUT => "$M/$its?tag=ok&tag=-x", { typed($TYPE{manifest}, $manifest) }, of(found => '-x') ],
    [ 'a digest', 400, 'DIGEST_INVALID', GET => "$B/sha256:12", {}, of(digest => 'sha256:12', found => 'sha256:12', expected => qr/64/) ],
    [ 'a digest of a manifest', 400, 'DIGEST_INVALID', GET => "$M/md5:12", {}, of(reference => 'md5:12', found => 'md5:12') ],
    [ 'a digest of an upload', 400, 'DIGEST_INVALID', PUT => "$place?digest=x", { body => '' }, of(upload => $upload, found => 'x') ],
    [ 'no digest', 400, 'DIGEST_INVALID', PUT => $place, { body => '' }, of(upload => $upload, expected => qr/64/) ],
    [ 'a digest of a mount', 400, 'DIGEST_INVALID', POST => "$B/uploads/?mount=x", { body => '' }, of(found => 'x') ],
    [ 'a digest of referrers', 400, 'DIGEST_INVALID', GET => '/v2/a/b/referrers/x', {}, of(found => 'x') ],
    [ 'an algorithm', 400, 'DIGEST_INVALID', POST => "$B/uploads/?digest-algorithm=md5", { body => '' },
        of(found => 'md5', expected => qr/sha256.*sha512/) ],
    [ 'other bytes', 400, 'DIGEST_INVALID', POST => "$B/uploads/?digest=$none", { body => 'xyz' },
        of(expected => $none, found => digest('xyz')) ],
    [ 'other bytes, sha512', 400, 'DIGEST_INVALID', POST => "$B/uploads/?digest=$none512", { body => 'xyz' },
        of(expected => $none512, found => digest('xyz', 'sha512')) ],
    [ 'another manifest', 400, 'DIGEST_INVALID', PUT => "$M/$none", { typed($TYPE{manifest}, $manifest) },
        of(reference => $none, expected => $none, found => $its) ],
    [ 'a piece of another length', 400, 'SIZE_INVALID', PATCH => $place, { body => 'abc', headers => { 'Content-Range' => '3-9' } },
        of(upload => $upload, expected => '7 bytes', found => '3 bytes') ],
    [ 'a piece for elsewhere', 416, 'BLOB_UPLOAD_INVALID', PATCH => $place, { body => 'abc', headers => { 'Content-Range' => '9-11' } },
        of(upload => $upload, expected => qr/byte 3$/, found => qr/byte 9$/), Range => '0-2', Location => qr/\Q$upload\E/ ],
    [ '... in a PUT', 416, 'BLOB_UPLOAD_INVALID', PUT => "$place?digest=$none", { body => 'abc', headers => { 'Content-Range' => '0-2' } },
        of(upload => $upload, expected => qr/byte 3$/, found => qr/byte 0$/), Range => '0-2' ],
    [ 'a range of nothing', 416, 'BLOB_UPLOAD_INVALID', PATCH => $place, { body => 'abc', headers => { 'Content-Range' => 'x' } },
        of(upload => $upload, expected => qr/FIRST-LAST/, found => 'x') ],
    [ 'a range behind the end', 416, 'SIZE_INVALID', GET => "$B/$digest", { headers => { Range => 'bytes=5000-' } },
        of(digest => $digest, expected => qr/\b1000\b/, found => 'bytes=5000-'), 'Content-Range' => 'bytes */1000' ],
    [ 'no JSON', 400, 'MANIFEST_INVALID', PUT => "$M/x", { typed($TYPE{manifest}, 'hello') }, of(reference => 'x') ],
    [ 'two types', 400, 'MANIFEST_INVALID', PUT => "$M/x", { typed($TYPE{index}, $manifest) },
        of(expected => qr/\Q$TYPE{manifest}\E/, found => qr/\Q$TYPE{index}\E/) ],
    [ 'manifest and index', 400, 'MANIFEST_INVALID', PUT => "$M/x", { typed($TYPE{manifest}, document(manifests => [])) }, of() ],
    [ 'too many entries', 400, 'MANIFEST_INVALID', PUT => "$M/x",
        { typed($TYPE{manifest}, document(layers => [ ($registry->descriptor('layer', $layer)) x 1000 ])) },
        of(expected => qr/1000/, found => '1001') ],
    [ 'schema 1', 400, 'UNSUPPORTED', PUT => "$M/x", { typed('application/vnd.docker.distribution.manifest.v1+prettyjws', '{}') },
        of(hint => qr/schema 2/) ],
    [ '... by its looks', 400, 'UNSUPPORTED', PUT => "$M/x", { typed('application/json', '{"schemaVersion":1,"name":"a/b","fsLayers":[]}') },
        of(hint => qr/schema 2/) ],
    [ 'missing parts', 404, 'MANIFEST_BLOB_UNKNOWN', PUT => "$M/v1",
        { typed($TYPE{manifest}, document(layers => [ $registry->descriptor('layer', 'none') ])) },
        of(digest => $none, hint => qr/push/) ],
    [ 'no such repository', 404, 'NAME_UNKNOWN', GET => '/v2/no/such/tags/list', {}, { repository => 'no/such', hint => qr/_catalog/ } ],
    [ 'no such tag', 404, 'MANIFEST_UNKNOWN', GET => "$M/none", {}, of(reference => 'none', hint => qr/tags\/list/) ],
    [ 'no such manifest', 404, 'MANIFEST_UNKNOWN', GET => "$M/$none", {}, of(reference => $none) ],
    [ 'no such manifest to delete', 404, 'MANIFEST_UNKNOWN', DELETE => "$M/$none", {}, of(reference => $none) ],
    [ 'no such blob', 404, 'BLOB_UNKNOWN', GET => "$B/$none", {}, of(digest => $none) ],
    [ 'no such blob to delete', 404, 'BLOB_UNKNOWN', DELETE => "$B/$none", {}, of(digest => $none) ],
    [ 'a manifest among the blobs', 404, 'BLOB_UNKNOWN', GET => "$B/$its", {}, of(digest => $its, hint => qr{manifests/}) ],
    [ 'no such upload', 404, 'BLOB_UPLOAD_UNKNOWN', GET => "$B/uploads/" . '0' x 32, {}, of(upload => '0' x 32, hint => qr/POST/) ],
    [ 'no such route', 404, 'NAME_UNKNOWN', GET => '/v2/nothing/at/all', {}, { path => '/v2/nothing/at/all' } ],
    [ 'a method', 405, 'UNSUPPORTED', PUT => '/v2/a/b/tags/list', { body => '' }, { path => '/v2/a/b/tags/list', found => 'PUT' },
        Allow => qr/\bGET\b/ ],
    [ 'a method of nobody', 405, 'UNSUPPORTED', BREW => "$M/x", {}, { found => 'BREW' }, Allow => qr/\bPUT\b/ ],
    [ 'a method for an upload', 405, 'UNSUPPORTED', BREW => $place, { body => 'x' }, {}, Allow => qr/\bPATCH\b/ ],
    [ 'a blob in use', 405, 'UNSUPPORTED', DELETE => "$B/$digest", {}, of(digest => $its, hint => qr/delete/), Allow => qr/\bGET\b/ ],
    [ 'too large', 413, 'SIZE_INVALID', PATCH => $place, { body => 'x' x (1 << 20) },
        of(upload => $upload, expected => qr/at most 1048576 bytes/, found => qr/1048579/) ],
    [ 'no number', 400, 'UNSUPPORTED', GET => '/v2/a/b/tags/list?n=x', {}, of(found => 'n=x') ],
    [ 'a bad path', 400, 'UNSUPPORTED', GET => '/v2/a%2Fb/tags/list', {}, { path => '/v2/a%2Fb/tags/list' } ],
    [ 'a bad query', 400, 'UNSUPPORTED', GET => '/v2/a/b/tags/list?n=%zz', {}, { path => '/v2/a/b/tags/list' } ],
    [ 'a tag too many', 403, 'DENIED', PUT => "$M/v3", { typed($TYPE{manifest}, $manifest) },
        of(reference => 'v3', expected => qr/at most 2 tags/, found => qr/^2\b/) ],
    [ 'no credentials', 401, 'UNAUTHORIZED', GET => "$M/v1", { headers => $nobody }, of(hint => qr/log in/), 'WWW-Authenticate' => qr/^Bearer .*:pull"$/ ],
    [ '... for nothing', 401, 'UNAUTHORIZED', GET => '/v2/nothing', { headers => $nobody }, {}, 'WWW-Authenticate' => qr/^Bearer / ],
    [ '... for an upload', 401, 'UNAUTHORIZED', POST => "$B/uploads/", { headers => $nobody, body => '' }, of(), 'WWW-Authenticate' => qr/^Bearer .*:pull,push"$/ ],
    [ 'wrong ones (nginx)', 401, 'UNAUTHORIZED', GET => "$M/v1", { headers => $basic }, {}, 'WWW-Authenticate' => qr/^Basic/ ],
    [ '... for an upload (nginx)', 401, 'UNAUTHORIZED', POST => "$B/uploads/", { headers => $basic, body => '' }, {}, 'WWW-Authenticate' => qr/^Basic/ ],
    [ 'before an upload', 404, 'NAME_UNKNOWN', POST => '/v2/blobs/uploads/', { body => 'x' }, { path => '/v2/blobs/uploads/' } ],
    [ '... a bad name', 400, 'NAME_INVALID', POST => '/v2/A/blobs/uploads/', { body => 'x' }, { found => 'A' } ],
    [ 'a large manifest (nginx)', 413, 'SIZE_INVALID', PUT => "$M/x", { body => 'x' x ((4 << 20) + 1) }, { message => qr/4 MiB/, hint => qr/limit raised/ } ],
    [ 'a large blob (nginx)', 413, 'SIZE_INVALID', POST => "$B/uploads/?digest=$none", { body => 'x' x ((1 << 20) + 1) }, { message => qr/a blob 1048576 bytes \(--max-blob-size/, hint => qr/limit raised/ } ],
    [ 'a long line (nginx)', 414, 'UNSUPPORTED', GET => '/v2/?' . 'x' x 25_000, {}, { hint => qr/24 KiB/ } ],
    [ 'a long header (nginx)', 431, 'UNSUPPORTED', GET => '/v2/', { headers => { X => 'x' x 25_000 } }, { hint => qr/24 KiB/ } ],
    [ 'two lengths (nginx)', 400, 'UNSUPPORTED', RAW => "PUT $M/x HTTP/1.1\r\n${head}Content-Length: 3\r\nContent-Length: 4\r\n\r\nabcd", {}, {} ],
    [ 'no Host (nginx)', 400, 'UNSUPPORTED', RAW => "GET /v2/ HTTP/1.1\r\nConnection: close\r\n\r\n", {}, {} ],
    [ 'an encoding (nginx)', 400, 'UNSUPPORTED', RAW => "PUT $M/x HTTP/1.1\r\n${head}Transfer-Encoding: gzip\r\n\r\n", {}, { hint => qr/chunked/ } ],
    [ 'a version (nginx)', 400, 'UNSUPPORTED', RAW => "GET /v2/ HTTP/9.9\r\n$head\r\n", {}, { hint => qr{HTTP/1\.1} } ],
    [ 'TRACE (nginx)', 405, 'UNSUPPORTED', RAW => "TRACE /v2/ HTTP/1.1\r\n$head\r\n", {}, {}, Allow => qr/\bGET\b/ ],
);

sub ask ($method, $path, $options) {
    return $method eq 'RAW' ? $registry->raw($path) : $registry->request($method, $path, %$options);
}

sub check ($row) {
    my ($name, $status, $code, $method, $path, $options, $detail, %headers) = @$row;
    my $response = ask($method, $path, $options);
    is_error($response, $status, $code, "$name: $status $code");
    is_status($response, $status, '... its headers', %headers);
    ok($CODES{ $response->code }, '... the code is known');
    my @errors = @{ $response->json->{errors} };
    is_deeply([ grep { join(' ', sort keys %$_) ne 'code detail message' } @errors ], [], '... code, message and detail, each time');
    my $is = $response->detail;
    return fail("... detail is an object") if ref $is ne 'HASH';
    is_deeply([ grep { ref $is->{$_} || !length $is->{$_} } sort keys %$is ], [], '... of texts');
    $is->{message} = $errors[0]{message};
    my %want = (hint => qr/.{15}/, %$detail);
    my @wrong = grep { !defined $is->{$_} || (ref $want{$_} ? $is->{$_} !~ $want{$_} : $is->{$_} ne $want{$_}) } sort keys %want;
    is_deeply(\@wrong, [], "... with @{[sort keys %want]}") or diag(explain($is));

    return if $method ne 'GET';
    my $bodyless = ask(HEAD => $path, $options);
    is_status($bodyless, $status, '... HEAD alike', 'Docker-Distribution-Api-Version' => 'registry/2.0', %headers);
    is($bodyless->content, '', '... without a body');
    return;
}

subtest 'one by one' => sub { check($_) for @rows };

subtest 'each of the missing parts is named' => sub {
    my @parts    = map { digest("missing $_") } 1 .. 3;
    my $response = $registry->put("$M/v1", typed($TYPE{manifest},
        document(layers => [ map { $registry->descriptor('layer', "missing $_") } 1 .. 3 ])));
    is_deeply([ sort map { $_->{detail}{digest} } @{ $response->json->{errors} } ], [ sort @parts ], 'in an error of its own');
};

subtest 'over the bounds' => sub {
    is_status($registry->push_blob("r/$_", 'x', way => 'post'), 201, "repository $_") for 1, 2;
    check([ 'one more', 403, 'DENIED', POST => '/v2/r/3/blobs/uploads/', { body => '' },
        { repository => 'r/3', expected => qr/at most 4 repositories/, found => qr/^4\b/ } ]);
    my @open = map { $registry->start_upload('a/b') } 1 .. 4;    # what was too large has ended the other
    check([ 'a fifth upload', 429, 'TOOMANYREQUESTS', POST => "$B/uploads/", { body => '' },
        of(expected => qr/at most 4 uploads/, found => qr/^4\b/), 'Retry-After' => qr/^\d+$/ ]);
    is_status($registry->delete($_), 204, 'cancelled') for @open;
};

subtest 'no worker can be reached' => sub {
    $registry->without_api(sub {
        check([ $_->[0], 503, 'UNAVAILABLE', @$_[ 1 .. 3 ], { hint => qr/Retry-After/ }, 'Retry-After' => qr/^\d+$/ ])
            for [ 'a manifest', GET => "$M/v1", {} ], [ 'an upload', POST => "$B/uploads/", { body => 'x' } ];
    });
};

subtest 'a manifest is no blob' => sub {
    # A large one stands with the blobs, and is none all the same.
    my $large = document(annotations => { x => 'x' x 100_000 });
    is_status($registry->put_manifest('a/b', digest($large), $large), 201, 'a large one');
    for my $document ($manifest, $large) {
        my $path = "$B/" . digest($document);
        is_error($registry->get($path), 404, 'BLOB_UNKNOWN', length($document) . ' bytes: GET');
        is_status($registry->head($path), 404, '... HEAD');
        is_error($registry->delete($path), 404, 'BLOB_UNKNOWN', '... DELETE');
        is_status($registry->get("$M/" . digest($document)), 200, '... and it is still a manifest');
    }
};

subtest 'Accept makes no error' => sub {
    for my $accept ('text/html', 'application/vnd.none', '*/*;q=0', '', "$TYPE{index};q=0", 'nonsense', ',;') {
        for my $method (qw(GET HEAD)) {
            for my $path ("$M/v1", "$M/$its", "$B/$digest", '/v2/a/b/tags/list', '/v2/_catalog', "/v2/a/b/referrers/$its") {
                my $response = $registry->request($method, $path, headers => { Accept => $accept });
                is_status($response, 200, "$method $path, Accept: $accept") if $response->status != 200;
            }
        }
    }
    pass('whatever it says');
};

is_tidy($registry);
finish();
