package Registry::Conformance;
use v5.36;

# The distribution-spec from outside, endpoint by endpoint (end-1 .. end-14 of its table): what its conformance
# suites try, those of 1.1 and of the main branch, request by request; and each MUST and SHOULD that they leave out.
#
#   conforms($registry);    # a Registry, or Registry::Nodes

use Exporter 'import';
use MIME::Base64 qw(encode_base64);
use Registry::Checks;
use Registry::Client ();
use Registry::Tools;
use Test::More;

our @EXPORT = qw(conforms);

my $registry;
my %TYPE     = %Registry::Client::TYPE;
my $EMPTY    = 'application/vnd.oci.empty.v1+json';
my $OTHER    = 'application/vnd.example.oci.conformance.v1';
my ($one, $two);    # repositories
my @BOTH = (Accept => [ @TYPE{qw(index manifest)} ]);
my %OCTETS = ('Content-Type' => 'application/octet-stream');

# A query as a client's library writes it: the colon of a digest is escaped.
sub with ($place, %query) {
    my @pairs = map { "$_=" . $query{$_} =~ s/([^\w.~-])/sprintf '%%%02X', ord $1/ger } sort keys %query;
    return $place . ($place =~ /\?/ ? '&' : '?') . join '&', @pairs;
}

sub uploads ($name) { return "/v2/$name/blobs/uploads/" }
sub blob ($name, $digest) { return "/v2/$name/blobs/$digest" }
sub manifest_at ($name, $reference) { return "/v2/$name/manifests/$reference" }

# 201, and its Location serves the bytes.
sub is_pushed ($response, $digest, $bytes, $name) {
    is_status($response, 201, "$name: 201", Location => qr/./, 'Docker-Content-Digest' => $digest);
    my $get = $registry->get($registry->place_of($response));
    return ok($get->status == 200 && $get->content eq $bytes, '... and Location serves it') || diag($get->describe);
}

sub is_there ($name, $digest, $bytes) {
    my %wanted = ('Content-Length' => length $bytes, 'Docker-Content-Digest' => $digest);
    is_status($registry->head(blob($name, $digest)), 200, 'end-2: HEAD of the blob', %wanted);
    is_status(my $get = $registry->get(blob($name, $digest)), 200, '... GET', %wanted);
    return ok($get->content eq $bytes, '... the bytes');
}

sub is_deleted ($path, $what) {
    is_status($registry->delete($path), 202, "$what: DELETE");
    is_status($registry->head($path), 404, '... at once');
    return;
}

# ---- end-1, and what isn't there ----

sub try_empty () {
    is_status($registry->get('/v2/'), 200, 'GET /v2/', 'Content-Type' => 'application/json');
    my $missing = digest('missing');
    is_error($registry->get("/v2/$one/tags/list"), 404, 'NAME_UNKNOWN', 'tags of a repository that is not there');
    is_status(my $referrers = $registry->get("/v2/$one/referrers/$missing"), 200, 'but never 404 for referrers',
        'Content-Type' => $TYPE{index});
    is_deeply($referrers->json, { schemaVersion => 2, mediaType => $TYPE{index}, manifests => [] }, '... an empty index');
    for my $path (manifest_at($one, 'latest'), manifest_at($one, $missing), blob($one, $missing)) {
        is_error($registry->get($path), 404, qr/^(NAME|MANIFEST|BLOB)_UNKNOWN$/, "GET $path");
        is_status($registry->head($path), 404, '... HEAD');
        is_error($registry->delete($path), 404, qr/^(NAME|MANIFEST|BLOB)_UNKNOWN$/, '... DELETE');
    }
    is_error($registry->get(manifest_at($one, 'sha256:totallywrong'), body => 'blah', headers => { 'Content-Type' => $TYPE{manifest} }),
        400, 'DIGEST_INVALID', 'a bad digest, with a body in the GET');
    return;
}

# ---- blobs, with each algorithm ----

# Pushes bytes in three chunks; the last one may come in the PUT. Before each one, one that doesn't fit.
sub push_chunks ($bytes, $digest, %o) {
    my $size  = int(length($bytes) / 3) + 1;
    my $begun = $registry->post(uploads($one), body => '');
    my ($place, $at) = ($registry->place_of($begun), 0);
    while ($at < length $bytes) {
        my $last = $at + $size >= length $bytes;
        my $send = sub ($from, $closing) {
            my $piece = substr $bytes, $from, $size;
            my %how = (body => $piece, headers => { %OCTETS, 'Content-Range' => $from . '-' . ($from + length($piece) - 1) });
            return $closing ? $registry->put(with($place, digest => $digest), %how) : $registry->patch($place, %how);
        };
        if ($o{disorder}) {
            my $wrong = $at + $size < length $bytes ? $at + $size : 0;
            my $range = $at > 0 ? '0-' . ($at - 1) : '0-0';
            is_status($send->($wrong, $o{close} && $wrong + $size >= length $bytes), 416, "end-5, end-6: from $wrong instead of $at",
                Location => qr/./, Range => $range);
            my $state = $registry->get($place);
            is_status($state, 204, 'end-13: where it is', Range => $range, Location => qr/./);
            $place = $registry->place_of($state);
        }
        my $response = $send->($at, $o{close} && $last);
        return $response if $o{close} && $last;
        $at += $size;
        $at = length $bytes if $last;
        is_status($response, 202, 'end-5: a chunk', Location => qr/./, Range => '0-' . ($at - 1));
        $place = $registry->place_of($response);
    }
    return $registry->put(with($place, digest => $digest), body => '', headers => {%OCTETS});
}

sub push_stream ($bytes, $digest) {
    my $begun   = $registry->post(uploads($one));
    my $patched = $registry->patch($registry->place_of($begun), body => $bytes, chunked => 1, headers => {%OCTETS});
    is_status($patched, 202, 'end-5: all of it, as a stream', Location => qr/./, Range => '0-' . (length($bytes) - 1));
    return $registry->put(with($registry->place_of($patched), digest => $digest), body => '', headers => {%OCTETS});
}

sub push_post_put ($bytes, $digest, %query) {
    my $begun = $registry->post(%query ? with(uploads($one), %query) : uploads($one));
    is_status($begun, 202, 'end-4a, end-4c: POST', Location => qr/./);
    return $registry->put(with($registry->place_of($begun), digest => $digest), body => $bytes, headers => {%OCTETS});
}

my %WAYS = (
    'end-4b: POST alone'      => sub ($bytes, $digest) { $registry->post(with(uploads($one), digest => $digest), body => $bytes, headers => {%OCTETS}) },
    'end-6: POST, PUT'        => sub ($bytes, $digest) { push_post_put($bytes, $digest) },
    'end-4c: digest-algorithm' => sub ($bytes, $digest) { push_post_put($bytes, $digest, 'digest-algorithm' => $digest =~ s/:.*//r) },
    'end-5: a stream'         => \&push_stream,
    'end-5: chunks'           => sub ($bytes, $digest) { push_chunks($bytes, $digest) },
    'end-6: a last chunk in the PUT' => sub ($bytes, $digest) { push_chunks($bytes, $digest, close => 1) },
    'end-5: chunks in disorder' => sub ($bytes, $digest) { push_chunks($bytes, $digest, disorder => 1) },
    'end-6: chunks in disorder, and in the PUT' => sub ($bytes, $digest) { push_chunks($bytes, $digest, disorder => 1, close => 1) },
);

sub try_ranges ($digest, $bytes) {
    my $get = sub ($range) { $registry->get(blob($one, $digest), headers => { Range => "bytes=$range" }) };
    for my $row ([ '500-1499', 500, 1499 ], [ '500-', 500, 2047 ], [ '-500', 1548, 2047 ], [ '2000-5000', 2000, 2047 ]) {
        my ($range, $from, $to) = @$row;
        is_status(my $part = $get->($range), 206, "end-2: Range $range", 'Content-Length' => $to - $from + 1,
            'Content-Range' => "bytes $from-$to/2048", 'Docker-Content-Digest' => $digest);
        ok($part->content eq substr($bytes, $from, $to - $from + 1), '... the bytes');
    }
    is_error($get->($_), 416, 'SIZE_INVALID', "end-2: Range $_") for '500-0', '5000-10000';
    return;
}

sub try_mounts ($algorithm) {
    my $bytes  = random_bytes(512);
    my $digest = digest($bytes, $algorithm);
    is_pushed($registry->post(with(uploads($two), digest => $digest), body => $bytes), $digest, $bytes, 'a blob elsewhere');
    for my $query ({ mount => $digest, from => $two }, { mount => $digest }) {
        my $mounted = $registry->post(with(uploads($one), %$query));
        is_pushed($mounted, $digest, $bytes, 'end-11: mounted ' . (exists $query->{from} ? 'from there' : 'from wherever it is'));
        is($mounted->header('Location'), blob($one, $digest), '... Location is the blob');
        is_deleted(blob($one, $digest), 'end-10: the mounted blob');
    }
    is_deleted(blob($two, $digest), 'end-10: the other one');
    my $missing = digest(random_bytes(10), $algorithm);
    is_status($registry->post(with(uploads($one), mount => $missing, from => $two)), 202, 'end-11: one that is not there: an upload',
        Location => qr{^/v2/\Q$one\E/blobs/uploads/.});
    is_status($registry->post(with(uploads($one), mount => $missing)), 202, '... without from', Location => qr/./);
    return;
}

sub try_blobs ($algorithm) {
    for my $way (sort keys %WAYS) {
        my $bytes  = random_bytes(3067);
        my $digest = digest($bytes, $algorithm);
        is_pushed($WAYS{$way}->($bytes, $digest), $digest, $bytes, $way);
        is_there($one, $digest, $bytes);
        is_deleted(blob($one, $digest), "end-10: $way");
        is_error($WAYS{$way}->("$bytes oh no", $digest), 400, 'DIGEST_INVALID', "$way: other bytes than the digest's");
        is_status($registry->head(blob($one, $digest)), 404, '... and no blob');
    }
    my $bytes  = random_bytes(2048);
    my $digest = digest($bytes, $algorithm);
    is_pushed(push_post_put($bytes, $digest), $digest, $bytes, 'a blob');
    try_ranges($digest, $bytes);
    is_deleted(blob($one, $digest), 'end-10');
    try_mounts($algorithm);
    for my $known ('', '{}') {
        $digest = digest($known, $algorithm);
        is_pushed(push_post_put($known, $digest), $digest, $known, "end-6: the blob '$known'");
        is_there($one, $digest, $known);
        is_deleted(blob($one, $digest), "end-10: the blob '$known'");
    }
    my $begun = $registry->post(uploads($one));
    is_status($registry->delete($registry->place_of($begun), headers => { 'Content-Length' => 0 }), 204, 'end-14: an upload is given up');
    is_error($registry->get($registry->place_of($begun)), 404, 'BLOB_UPLOAD_UNKNOWN', '... and gone');
    return;
}

# ---- manifests: sets of data, as the suite of the main branch makes them ----

# A set: { blobs => [bytes], manifests => [[bytes, digest, type]], tags => { tag => index } }, with its algorithm.
sub set_of ($algorithm = 'sha256') { return { algorithm => $algorithm, blobs => [], manifests => [], tags => {}, referrers => [] } }

sub descriptor ($set, $type, $bytes, %more) {
    return { mediaType => $TYPE{$type} // $type, digest => digest($bytes, $set->{algorithm}), size => length $bytes, %more };
}

sub add_blob ($set, $type, $bytes, %more) {
    push @{ $set->{blobs} }, $bytes;
    return descriptor($set, $type, $bytes, %more);
}

# Adds a document and returns its descriptor.
sub add ($set, $type, $tag, %members) {
    my $bytes = json_of({ schemaVersion => 2, mediaType => $TYPE{$type}, %members });
    my $descriptor = descriptor($set, $type, $bytes);
    push @{ $set->{manifests} }, [ $bytes, $descriptor->{digest}, $TYPE{$type} ];
    $set->{tags}{$tag} = $#{ $set->{manifests} } if defined $tag;
    if (my $subject = $members{subject}) {
        my $artifact = $members{artifactType} // ($type eq 'manifest' ? $members{config}{mediaType} : undef);
        push @{ $set->{referrers} }, { %$descriptor, defined $artifact ? (artifactType => $artifact) : (),
            $members{annotations} ? (annotations => $members{annotations}) : (), of => $subject->{digest} };
    }
    return $descriptor;
}

sub add_image ($set, $tag, %members) {
    my $data   = delete $members{data};
    my $with   = sub ($bytes) { $data ? (data => encode_base64($bytes, '')) : () };
    my @layers = map { my $bytes = random_bytes(200); add_blob($set, 'layer_gzip', $bytes, $with->($bytes)) } 1 .. 2;
    my $config = json_of({ os => 'linux', architecture => 'amd64', unique => unpack('H*', random_bytes(8)) });
    return add($set, 'manifest', $tag, config => add_blob($set, 'config', $config, $with->($config)), layers => \@layers, %members);
}

sub add_artifact ($set, $tag, %members) {
    return add($set, 'manifest', $tag, artifactType => $OTHER, config => add_blob($set, $EMPTY, '{}'),
        layers => [ add_blob($set, $OTHER, random_bytes(300)) ], annotations => { 'org.example.hello' => unpack 'H*', random_bytes(4) }, %members);
}

sub add_index ($set, $tag, %members) {
    my @children = map { { %{ add_image($set, undef) }, platform => { os => 'linux', architecture => $_ } } } qw(amd64 arm64);
    return add($set, 'index', $tag, manifests => \@children, %members);
}

sub push_set ($set, $name) {
    for my $bytes (@{ $set->{blobs} }) {
        my $response = push_post_put($bytes, digest($bytes, $set->{algorithm}));
        return fail("$name: a blob") || diag($response->describe) if $response->status != 201;
    }
    for my $i (0 .. $#{ $set->{manifests} }) {
        my ($bytes, $digest, $type) = @{ $set->{manifests}[$i] };
        my @tags = $set->{by_parameter} ? grep { $set->{tags}{$_} == $i } sort keys %{ $set->{tags} } : ();
        my $path = manifest_at($one, $digest) . (@tags ? '?' . join('&', map { "tag=$_" } @tags) : '');
        my $put  = $registry->put($path, body => $bytes, headers => { 'Content-Type' => $type });
        is_pushed($put, $digest, $bytes, "$name: end-7 by digest");
        is_deeply([ sort split /, /, $put->header('OCI-Tag') // '' ], \@tags, '... OCI-Tag') if $set->{by_parameter};
        my ($referrer) = grep { $_->{digest} eq $digest } @{ $set->{referrers} };
        is($put->header('OCI-Subject'), $referrer ? $referrer->{of} : undef, '... OCI-Subject');
    }
    for my $tag ($set->{by_parameter} ? () : sort keys %{ $set->{tags} }) {
        my ($bytes, $digest, $type) = @{ $set->{manifests}[ $set->{tags}{$tag} ] };
        is_pushed($registry->put(manifest_at($one, $tag), body => $bytes, headers => { 'Content-Type' => $type }),
            $digest, $bytes, "$name: end-7a by tag");
    }
    return;
}

sub list_set ($set, $name) {
    my $tags = $registry->get("/v2/$one/tags/list")->json->{tags};
    is_deeply($tags, [ sort keys %{ $set->{tags} } ], "$name: end-8a");
    is_deeply($registry->get("/v2/$one/tags/list?last=$tags->[0]")->json->{tags}, [ @$tags[ 1 .. $#$tags ] ], "$name: end-8b") if @$tags;
    return;
}

sub pull_set ($set, $name) {
    my %references = ((map { $_ => $set->{tags}{$_} } keys %{ $set->{tags} }), map { $set->{manifests}[$_][1] => $_ } 0 .. $#{ $set->{manifests} });
    for my $reference (sort keys %references) {
        my ($bytes, $digest, $type) = @{ $set->{manifests}[ $references{$reference} ] };
        my %wanted = ('Content-Type' => $type, 'Content-Length' => length $bytes, 'Docker-Content-Digest' => $digest);
        is_status(my $get = $registry->get(manifest_at($one, $reference), headers => {@BOTH}), 200, "$name: end-3 GET", %wanted);
        ok($get->content eq $bytes, '... byte for byte');
        is_status($registry->head(manifest_at($one, $reference), headers => {@BOTH}), 200, '... HEAD', %wanted);
    }
    is_there($one, digest($_, $set->{algorithm}), $_) for @{ $set->{blobs} };
    return;
}

sub refer_set ($set, $name) {
    my %subjects = map { $_->{of} => 1 } @{ $set->{referrers} };
    for my $subject (sort keys %subjects) {
        my $want = sub (@types) {
            return [ sort { $a->{digest} cmp $b->{digest} } map { my %d = %$_; delete $d{of}; \%d }
                    grep { my $r = $_; $r->{of} eq $subject && (!@types || grep { $_ eq ($r->{artifactType} // '') } @types) } @{ $set->{referrers} } ];
        };
        my $list = $registry->get("/v2/$one/referrers/$subject");
        is_status($list, 200, "$name: end-12a", 'Content-Type' => $TYPE{index}, 'OCI-Filters-Applied' => undef);
        is_deeply($list->json->{manifests}, $want->(), '... all descriptors, with type, size and annotations');
        for my $type ($OTHER, $TYPE{config}, 'application/vnd.nothing') {
            my $filtered = $registry->get(with("/v2/$one/referrers/$subject", artifactType => $type));
            is_status($filtered, 200, "$name: end-12b $type", 'OCI-Filters-Applied' => 'artifactType', 'Content-Type' => $TYPE{index});
            is_deeply($filtered->json->{manifests}, $want->($type), '... those alone');
        }
    }
    return;
}

# Tags, then manifests in reverse, then blobs: each goes, and at once.
sub delete_set ($set, $name) {
    is_deleted(manifest_at($one, $_), "$name: end-9, a tag") for sort keys %{ $set->{tags} };
    is_deleted(manifest_at($one, $_->[1]), "$name: end-9, a manifest") for reverse @{ $set->{manifests} };
    my %blobs = map { digest($_, $set->{algorithm}) => 1 } @{ $set->{blobs} };
    is_deleted(blob($one, $_), "$name: end-10") for sort keys %blobs;
    return;
}

my %sets = (
    'an image'               => sub ($set) { add_image($set, 'image') },
    'a large manifest'       => sub ($set) { add_image($set, 'large', annotations => { map { ("large-$_" => 'A' x 10_000) } 1 .. 390 }) },
    'an index'               => sub ($set) { add_index($set, 'index') },
    'an index of indexes'    => sub ($set) { add($set, 'index', 'nested', manifests => [ add_index($set, undef), add_index($set, undef) ]) },
    'an empty index'         => sub ($set) { add($set, 'index', 'empty', manifests => []) },
    'an artifact'            => sub ($set) { add_artifact($set, 'artifact') },
    'an index of artifacts'  => sub ($set) { add($set, 'index', 'artifacts', artifactType => $OTHER, manifests => [ map { add_artifact($set, undef) } 1, 2 ]) },
    'an artifact without layers' => sub ($set) { my $empty = add_blob($set, $EMPTY, '{}'); add($set, 'manifest', 'no-layers', artifactType => $OTHER, config => $empty, layers => [$empty]) },
    'artifacts with a subject' => sub ($set) {
        my $image = add_image($set, 'image');
        add_image($set, undef, subject => $image);
        add_artifact($set, "artifact-$_", subject => $image, $_ == 2 ? (artifactType => 'application/vnd.example.two') : ()) for 1, 2;
    },
    'an index with a subject' => sub ($set) {
        my $index = add_index($set, 'index');
        add_index($set, 'tagged', artifactType => $OTHER, subject => $index, annotations => { hello => 'x' });
        add($set, 'index', undef, manifests => [], subject => $index);
    },
    'a subject that is missing' => sub ($set) { add_artifact($set, 'tagged', subject => descriptor($set, 'manifest', 'never pushed')) },
    'data in descriptors'    => sub ($set) { add_image($set, 'data', data => 1) },
    'layers from elsewhere'  => sub ($set) {
        my @urls = map { descriptor($set, $_, random_bytes(10), urls => ['https://store.example.com/x']) }
            map { "application/vnd.oci.image.layer.nondistributable.v1.tar$_" } '', '+gzip';
        add_image($set, 'elsewhere', layers => [ @urls, add_blob($set, 'layer', random_bytes(20)) ]);
    },
    'members of its own'     => sub ($set) { add_index($set, 'custom', 'org.example.unknown' => { a => [1] }) },
    'no layers'              => sub ($set) { add_image($set, 'bare', layers => []) },
    'tags by parameter'      => sub ($set) { $set->{by_parameter} = 1; add_index($set, 'param'); $set->{tags}{"param-$_"} = $_ for 0 .. 2 },
);
sub try_set ($name, $algorithm) {
    my $set = set_of($algorithm);
    $sets{$name}->($set);
    $set->{by_parameter} = 1 if $algorithm eq 'sha512';    # a tag in the path leaves the algorithm to the registry
    $_->($set, $name) for \&push_set, \&list_set, \&pull_set, \&refer_set, \&delete_set;
    return;
}

# ---- what is refused ----

sub try_wrong_manifests () {
    my $set = set_of();
    add_image($set, undef);
    push_post_put($_, digest($_)) for @{ $set->{blobs} };
    my ($bytes, $digest, $type) = @{ $set->{manifests}[0] };
    my $put = sub ($reference, $document = $bytes, $as = $type) {
        return $registry->put(manifest_at($one, $reference), body => $document, headers => { 'Content-Type' => $as });
    };
    is_error($put->('sha256:baddigeststring'), 400, 'DIGEST_INVALID', 'end-7: a bad digest');
    is_error($put->($digest, "$bytes  "), 400, 'DIGEST_INVALID', 'end-7: two blanks more than the digest knows of');
    is_error($put->('md5:' . '0' x 32), 400, 'DIGEST_INVALID', 'end-7: an algorithm that there is not');
    is_error($registry->get(manifest_at($one, 'sha256:baddigeststring')), 400, 'DIGEST_INVALID', 'end-3: a bad digest');
    is_error($put->('big', $bytes =~ s/^\{/'{"x":"' . 'y' x (4 << 20) . '",'/er), 413, 'SIZE_INVALID', 'end-7: more than 4 MiB');
    my $sparse = $put->('sparse', json_of({ schemaVersion => 2, mediaType => $TYPE{manifest}, config => descriptor($set, 'config', 'gone'),
        layers => [ map { descriptor($set, 'layer', "gone $_") } 1, 2 ] }));
    is_error($sparse, 404, 'MANIFEST_BLOB_UNKNOWN', 'a manifest of what was never pushed');
    is(scalar(map { $_->{code} eq 'MANIFEST_BLOB_UNKNOWN' ? 1 : () } @{ $sparse->json->{errors} }), 3, '... with an error for each part');
    is_status($put->('ok', $bytes, "$type; charset=utf-8"), 201, 'parameters of a Content-Type are ignored');
    is_status($registry->get(manifest_at($one, 'ok')), 200, '... and not sent back', 'Content-Type' => $type);
    is_status($put->("$digest?" . join('&', map { "tag=t$_" } 1 .. 16)), 201, 'end-7b: sixteen tags', 'OCI-Tag' => qr/\bt1\b.*\bt9\b/);
    is_error($put->("$digest?" . join('&', map { "tag=t$_" } 1 .. 17)), 414, 'UNSUPPORTED', 'end-7b: more');
    is_status($put->('by-tag?tag=ignored'), 201, 'end-7a: tag= means nothing there', 'OCI-Tag' => undef);
    is_error($registry->get(manifest_at($one, 'ignored')), 404, 'MANIFEST_UNKNOWN', '... and makes no tag');
    return;
}

sub try_pages () {
    my $all = $registry->get("/v2/$one/tags/list")->json->{tags};
    is_deeply($all, [ sort @$all ], 'in order');
    for my $n (1 .. @$all + 1) {
        my ($next, @seen) = ("/v2/$one/tags/list?n=$n");
        while (defined $next) {
            my $page = $registry->get($next);
            my $tags = $page->json->{tags};
            push @seen, @$tags;
            ($next) = ($page->header('Link') // '') =~ /^<([^>]+)>; rel="next"$/;
            last if @seen > @$all || (defined $next && @$tags != $n);
        }
        is_deeply(\@seen, $all, "n=$n");
    }
    my $none = $registry->get("/v2/$one/tags/list?n=0");
    is_deeply($none->json->{tags}, [], 'n=0');
    is($none->header('Link'), undef, '... without Link');
    return;
}

sub try_order_of_deletes () {
    my $set = set_of();
    my $index = add_index($set, 'kept');
    push_set($set, 'an index');
    my $used = $registry->delete(blob($one, digest($set->{blobs}[0])));
    is_error($used, 405, 'UNSUPPORTED', 'a blob in use');
    like($used->header('Allow') // '', qr/\bGET\b/, '... with what is allowed') or diag($used->describe);
    unlike($used->header('Allow') // '', qr/DELETE/, '... which is not to delete it');
    is_deleted(manifest_at($one, $set->{manifests}[0][1]), 'a child before its index');
    is_status($registry->get(manifest_at($one, 'kept')), 200, 'the index is still there');
    is_deleted(manifest_at($one, $index->{digest}), 'the index by digest');
    is_status($registry->head(manifest_at($one, 'kept')), 404, '... and its tag with it');
    is_error($registry->delete(manifest_at($one, $_)), 404, 'MANIFEST_UNKNOWN', 'not twice') for 'kept', $index->{digest};
    return;
}

# ---- all of it ----

# In two repositories below $place, which nobody has used.
sub conforms ($tried, $place = 'conformance') {
    $registry = $tried;
    ($one, $two) = ("$place/repo1", "$place/repo2");
    subtest 'end-1, and an empty registry' => \&try_empty;
    for my $algorithm (qw(sha256 sha512)) {
        subtest "blobs, $algorithm" => sub { try_blobs($algorithm) };
    }
    for my $name (sort keys %sets) {
        for my $algorithm ('sha256', $name =~ /^(?:an index|artifacts with a subject|layers from elsewhere)$/ ? 'sha512' : ()) {
            subtest "$name, $algorithm" => sub { try_set($name, $algorithm) };
        }
    }
    subtest 'manifests that are not right' => \&try_wrong_manifests;
    subtest 'end-8b: tags in pages' => \&try_pages;
    subtest 'end-9, end-10: order of deletes' => \&try_order_of_deletes;
    is_tidy($registry);
    return;
}

1;
