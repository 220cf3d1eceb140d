# A blob arrives whole in each way in which clients send one, and half ones leave nothing behind.
use v5.36;
use Registry limit => 120;
use Registry::Checks;
use Registry::Tools;
use Test::More;

my $registry = Registry->start;
my $NONE     = 'sha256:' . '0' x 64;

sub location ($digest, $repository = 'library/base') { return qr{^/v2/\Q$repository\E/blobs/\Q$digest\E$} }

sub upload_with ($bytes, $repository = 'library/base') {
    my $place = $registry->start_upload($repository);
    return $place if !length $bytes;
    return $registry->place_of($registry->patch($place, body => $bytes, chunked => 1));
}

subtest 'ways' => sub {
    my %sizes = (empty => 0, 'one byte' => 1, small => 5000, 'larger than a buffer' => 700_000, large => 9_000_000);
    for my $name (sort { $sizes{$a} <=> $sizes{$b} } keys %sizes) {
        my @ways = (
            [ 'PATCH in chunks, PUT',       way => 'patch' ],
            [ 'PATCH with a length, PUT',   way => 'patch', chunked => 0 ],
            [ 'PATCH in small chunks, PUT', way => 'patch', chunked => 8000 ],
            [ 'all in the PUT',             way => 'put' ],
            [ 'all in the PUT, in chunks',  way => 'put',  chunked => 1 ],
            [ 'all in the POST',            way => 'post' ],
            [ 'all in the POST, in chunks', way => 'post', chunked => 1 ],
        );
        for my $way (@ways) {
            my ($what, %how) = @$way;
            my $bytes  = random_bytes($sizes{$name});
            my $digest = digest($bytes);
            is_status($registry->push_blob('library/base', $bytes, %how), 201, "$what: $name",
                Location => location($digest), 'Docker-Content-Digest' => $digest,
                'Docker-Distribution-Api-Version' => 'registry/2.0');
            is_blob($registry, 'library/base', $bytes, '... and comes back');
        }
    }
    is_tidy($registry);
    my $bytes = random_bytes(1000);
    is_status($registry->push_blob('library/base', $bytes, digest => digest($bytes, 'sha512'), way => $_), 201, "sha512, $_")
        for qw(patch put post);
};

subtest 'what an upload answers' => sub {
    my $begun = $registry->post('/v2/library/base/blobs/uploads/', body => '');
    is_status($begun, 202, 'POST', Location => qr{^/v2/library/base/blobs/uploads/[^/]+$}, Range => '0-0',
        'Docker-Upload-UUID' => qr/./, 'Content-Length' => '0');
    my $place = $registry->place_of($begun);
    is_status($registry->get($place), 204, 'GET before the first byte', Range => '0-0',
        Location => qr{^/v2/library/base/blobs/uploads/}, 'Docker-Upload-UUID' => $begun->header('Docker-Upload-UUID'));
    is_status(my $one = $registry->patch($place, body => 'x' x 100, chunked => 1), 202, 'PATCH',
        Range => '0-99', Location => qr{^/v2/library/base/blobs/uploads/}, 'Docker-Upload-UUID' => qr/./);
    is_status($registry->get($registry->place_of($one)), 204, 'GET after 100 bytes', Range => '0-99');
    is_status($registry->patch($registry->place_of($one), body => 'y' x 50), 202, 'a second PATCH', Range => '0-149');
    is_status($registry->patch($place, body => ''), 202, 'an empty PATCH', Range => '0-149');
    my $digest = digest('x' x 100 . 'y' x 50 . 'z');
    is_status($registry->put($registry->with_digest($place, $digest), body => 'z'), 201, 'a PUT with the rest',
        Location => location($digest));
    is_error($registry->get($place), 404, 'BLOB_UPLOAD_UNKNOWN', 'then the upload is gone');
    is_status($registry->put($registry->with_digest($place, $digest), body => ''), 201, 'the same PUT, repeated');
};

subtest 'how long a piece may be' => sub {
    my @posts = map { $registry->post("/v2/library/base/blobs/uploads/$_", body => '') } '', '?digest-algorithm=sha512', "?mount=$NONE";
    my $advice;
    for my $post (@posts) {
        is_status($post, 202, 'POST', 'OCI-Chunk-Min-Length' => qr/^[1-9]\d*$/);
        $advice = $post->header('OCI-Chunk-Min-Length');
    }
    # Some clients cut a blob into pieces of this size, some hold one in memory.
    cmp_ok($advice, '>=', 1 << 20, 'whoever takes it for the size of a piece is quick');
    cmp_ok($advice, '<=', 16 << 20, '... and needs little memory');
    my ($smaller, $place) = ('', $registry->place_of($posts[0]));
    for my $piece ('a', 'b' x 7, '', 'c' x 1000, 'd') {
        my $from  = length $smaller;
        my %range = length $piece ? ('Content-Range' => sprintf '%d-%d', $from, $from + length($piece) - 1) : ();
        $smaller .= $piece;
        is_status($registry->patch($place, body => $piece, headers => {%range}), 202, 'a smaller one is taken: ' . length $piece,
            Range => '0-' . (length($smaller) - 1));
    }
    is_status($registry->put($registry->with_digest($place, digest($smaller)), body => ''), 201, '... and makes a blob');
    is_blob($registry, 'library/base', $smaller, '... that is whole');
    $registry->delete($registry->place_of($_)) for @posts[ 1, 2 ];
};

subtest 'ranges of chunks' => sub {
    my $place = $registry->start_upload('library/base');
    my $at    = 0;
    for my $form ('%d-%d', 'bytes %d-%d/*', 'bytes=%d-%d', 'bytes %d-%d/1000') {
        my $range = sprintf $form, $at, $at + 9;
        is_status($registry->patch($place, body => 'a' x 10, headers => { 'Content-Range' => $range }), 202,
            "Content-Range: $range", Range => '0-' . ($at + 9));
        $at += 10;
    }
    for my $range ('0-9', '50-59', '41-50') {
        my $response = $registry->patch($place, body => 'a' x 10, headers => { 'Content-Range' => $range });
        is_status($response, 416, "out of order: $range", Range => '0-39',
            Location => qr{^/v2/library/base/blobs/uploads/});
    }
    my $response = $registry->patch($place, body => 'a' x 5, headers => { 'Content-Range' => '40-49' });
    cmp_ok($response->status, '>=', 400, 'a range of another length is refused');
    is_status($registry->get($place), 204, 'the upload is as it was', Range => '0-39');
    my $end = $registry->with_digest($place, digest('a' x 50));
    is_status($registry->put($end, body => 'a' x 10, headers => { 'Content-Range' => '0-9' }), 416, 'also in a PUT');
    is_status($registry->put($end, body => 'a' x 10, headers => { 'Content-Range' => '40-49' }), 201, 'then the right one');
    is_blob($registry, 'library/base', 'a' x 50, '... and comes back');
};

subtest 'wrong digests' => sub {
    for my $way (qw(patch put post)) {
        my $bytes = random_bytes(400_000);
        my $response = $registry->push_blob('library/base', $bytes, way => $way, digest => $NONE);
        is_error($response, 400, 'DIGEST_INVALID', "$way, other bytes");
        is_status($registry->head("/v2/library/base/blobs/$NONE"),           404, '... are not there');
        is_status($registry->head('/v2/library/base/blobs/' . digest($bytes)), 404, '... under neither name');
    }
    my @no_digests = (
        '', 'sha256:', 'sha256:12', 'sha256:' . 'g' x 64, 'sha256:' . 'A' x 64, 'md5:' . '0' x 32,
        'nonsense', '0' x 64, 'sha256:..%2f..%2f' . '0' x 56,
    );
    for my $digest (@no_digests) {
        my $place = upload_with('abc');
        is_error($registry->put($registry->with_digest($place, $digest), body => ''), 400, 'DIGEST_INVALID', "PUT: '$digest'");
        $registry->delete($place);
    }
    my $place = upload_with('abc');
    is_error($registry->put($place, body => ''), 400, 'DIGEST_INVALID', 'PUT without a digest');
    $registry->delete($place);
    is_tidy($registry);
};

subtest 'an upload that is given up' => sub {
    my $place = upload_with(random_bytes(500_000));
    ok(scalar $registry->files('uploads'), 'its bytes are in uploads/');
    is_status($registry->delete($place), 204, 'DELETE');
    is_error($registry->get($place),    404, 'BLOB_UPLOAD_UNKNOWN', '... then GET');
    is_error($registry->delete($place), 404, 'BLOB_UPLOAD_UNKNOWN', '... DELETE');
    is_error($registry->patch($place, body => 'x'), 404, 'BLOB_UPLOAD_UNKNOWN', '... PATCH');
    is_error($registry->put($registry->with_digest($place, $NONE), body => ''), 404, 'BLOB_UPLOAD_UNKNOWN', '... PUT');
    is_tidy($registry);
};

subtest 'uploads that there are not' => sub {
    for my $id ('0', 'x' x 40, '..', 'body', '00000000-0000-0000-0000-000000000000', '%2e%2e') {
        my $response = $registry->patch("/v2/library/base/blobs/uploads/$id", body => 'x');
        is_error($response, [ 400, 404 ], qr/./, "PATCH of $id");
    }
    my $place = upload_with('abc');
    my $other = $place =~ s{/library/base/}{/library/other/}r;
    is_error($registry->get($other), 404, 'BLOB_UPLOAD_UNKNOWN', "another repository's upload: GET");
    is_error($registry->patch($other, body => 'x'), 404, 'BLOB_UPLOAD_UNKNOWN', '... PATCH');
    is_error($registry->delete($other), 404, 'BLOB_UPLOAD_UNKNOWN', '... DELETE');
    is_status($registry->get($place), 204, '... it is untouched', Range => '0-2');
    $registry->delete($place);
};

subtest 'a client that goes away' => sub {
    my $place      = upload_with('abc');
    my $connection = $registry->connect;
    $connection->send($registry->head_of('PATCH', $place, headers => { 'Transfer-Encoding' => 'chunked' }));
    $connection->send_chunk(random_bytes(600_000));
    ok(wait_for(5, sub { $registry->files('uploads/body') }), 'half a PATCH is on disk');
    $connection->close;
    ok(wait_for(10, sub { !$registry->files('uploads/body') }), '... and gone with the client');
    is_status($registry->get($place), 204, 'the upload stands where it stood', Range => '0-2');

    $connection = $registry->connect;
    $connection->send($registry->head_of('PATCH', $place, headers => { 'Content-Length' => 100_000 }));
    $connection->send(random_bytes(50_000));
    $connection->close;
    is_status($registry->patch($place, body => 'def'), 202, 'it goes on from there', Range => '0-5');
    is_status($registry->put($registry->with_digest($place, digest('abcdef')), body => ''), 201, '... to its end');
    is_tidy($registry);
};

subtest 'clients that do not wait for the answer' => sub {
    my @places = map { $registry->start_upload('library/base') } 1 .. 20;
    my $bytes  = random_bytes(400_000);
    for my $place (@places) {
        my $connection = $registry->connect;
        $connection->send($registry->head_of('PATCH', $place, headers => { 'Content-Length' => length $bytes }));
        $connection->send($bytes);
        $connection->close;
    }
    ok(wait_for(10, sub { !$registry->files('uploads/body') }), 'nothing is left of the bodies');
    my %lengths;
    $lengths{ $registry->get($_)->header('Range') // 'none' }++ for @places;
    is_deeply([ grep { !/^0-(?:0|399999)$/ } keys %lengths ], [], 'each upload has all or nothing');
    is_status($registry->delete($_), 204, 'DELETE') for @places;
    is_tidy($registry);
};

subtest 'details of HTTP' => sub {
    my $bytes  = random_bytes(300_000);
    my $digest = digest($bytes);
    my $place  = $registry->start_upload('library/base');
    my $end    = $registry->with_digest($place, $digest =~ s/:/%3A/r) . '&unknown=1';
    my $put    = $registry->put($end, body => $bytes, expect => 1, headers => { 'Content-Type' => 'text/plain' });
    is_status($put, 201, 'Expect: 100-continue, %3A in the digest, an unknown parameter, any Content-Type');
    is($put->continued, 1, '... and the client was told to go on');

    my $connection = $registry->connect;
    for my $i (1 .. 3) {
        $bytes = random_bytes(200_000 * $i);
        my $begun = $registry->post('/v2/library/base/blobs/uploads/', body => '', on => $connection);
        my $patched = $registry->patch($registry->place_of($begun), body => $bytes, chunked => 1, on => $connection);
        my $end   = $registry->with_digest($registry->place_of($patched), digest($bytes));
        my $ended = $registry->put($end, body => '', on => $connection);
        is_status($ended, 201, "push $i over one connection");
    }

    my $old = $registry->raw("POST /v2/library/base/blobs/uploads/ HTTP/1.0\r\nHost: x\r\nContent-Length: 0\r\n\r\n", 'POST');
    is_status($old, 202, 'HTTP/1.0');
    $place = $registry->place_of($old);
    $end = $registry->with_digest($place, digest('12345'));
    $put = $registry->raw("PUT $end HTTP/1.0\r\nHost: x\r\nContent-Length: 5\r\n\r\n12345", 'PUT');
    is_status($put, 201, '... to the end');

    $place = $registry->start_upload('library/base');
    $end   = $registry->with_digest($place, digest(''));
    $put   = $registry->raw("PUT $end HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", 'PUT');
    is_status($put, 201, 'a PUT with neither length nor body');
    is_status($registry->post('/v2/library/base/blobs/uploads/', body => '', headers => { Host => 'evil.example:1' }), 202,
        'Location does not repeat a Host', Location => qr{^/v2/});
};

subtest 'mounts' => sub {
    my $bytes  = random_bytes(10_000);
    my $digest = digest($bytes);
    $registry->push_blob('library/base', $bytes);
    is_status($registry->head("/v2/new/one/blobs/$digest"), 404, 'a blob is not in another repository');
    my $mount = $registry->post("/v2/new/one/blobs/uploads/?mount=$digest&from=library/base", body => '');
    is_status($mount, 201, 'until it is mounted there',
        Location => location($digest, 'new/one'), 'Docker-Content-Digest' => $digest);
    is_blob($registry, 'new/one', $bytes, '... and comes back');
    my $escaped = $digest =~ s/:/%3A/r;
    $mount = $registry->post("/v2/new/two/blobs/uploads/?mount=$escaped&from=library%2Fbase", body => '');
    is_status($mount, 201, 'with escapes');
    my %never = (
        'an unknown blob'           => "mount=$NONE&from=library/base",
        'from where it is not'      => "mount=$digest&from=new/nowhere",
        'from a repository that cannot be' => "mount=$digest&from=../x",
    );
    for my $name (sort keys %never) {
        my $response = $registry->post("/v2/new/three/blobs/uploads/?$never{$name}", body => '');
        is_status($response, 202, "$name: an upload begins", Location => qr{^/v2/new/three/blobs/uploads/}, Range => '0-0');
        my $place = $registry->place_of($response);
        is_status($registry->put($registry->with_digest($place, $digest), body => $bytes), 201, '... and can be used');
    }
    is_tidy($registry);
};

subtest 'one file for one blob' => sub {
    my $bytes = random_bytes(100_000);
    is_status($registry->push_blob("team-$_/app", $bytes), 201, "push $_") for 1 .. 3;
    ok(wait_for(5, sub { $registry->blob_files(digest($bytes)) == 1 }), 'three pushes make one file');
};

subtest 'names' => sub {
    my $bytes = 'names';
    for my $name ('a', 'a/b/c/d/e', 'a-----b', 'a__b', 'a.b_c-d', '0', 'a/blobs/uploads', 'a/manifests', 'tags/list', 'x' x 200) {
        is_status($registry->push_blob($name, $bytes), 201, substr($name, 0, 40));
        is_blob($registry, $name, $bytes, '... and comes back');
    }
    for my $name ('A', 'a/B', 'a..b', 'a/-b', '_a', 'a_', 'a___b', 'a/b.', 'x' x 300) {
        is_error($registry->post("/v2/$name/blobs/uploads/", body => ''), [ 400, 404 ], qr/./, 'not ' . substr($name, 0, 40));
    }
};
$registry->stop;

subtest '--max-blob-size' => sub {
    my $bounded = Registry->start(args => [ '--max-blob-size', '1M' ]);
    is_status($bounded->push_blob('a/b', random_bytes(1 << 20)), 201, 'as large as may be');
    my @ways = (
        [ way => 'patch' ], [ way => 'patch', chunked => 0 ], [ way => 'put' ],
        [ way => 'post' ],  [ way => 'post',  chunked => 1 ],
    );
    for my $way (@ways) {
        is_error($bounded->push_blob('a/b', random_bytes((1 << 20) + 1), @$way), 413, 'SIZE_INVALID', "too large: @$way");
    }
    my $place = $bounded->start_upload('a/b');
    is_status($bounded->patch($place, body => random_bytes(700_000)), 202, 'a part');
    is_error($bounded->patch($place, body => random_bytes(700_000)), 413, 'SIZE_INVALID', 'the sum of parts is too large');
    $bounded->delete($place);
    is_status($bounded->get('/v2/'), 200, 'the registry goes on');
};

finish();
