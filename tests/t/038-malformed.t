# Three hundred malformed requests, made from tables: each is refused in the API's form, and quickly; no
# process dies of one, nothing is left of one, and the log is calm.
use v5.36;
use Registry limit => 150;
use Registry::Checks;
use Registry::Tools;
use Test::More;
use Time::HiRes qw(time);

# The codes of the specification, and TAG_INVALID, which it knows of.
my %CODES = map { $_ => 1 } qw(
    BLOB_UNKNOWN BLOB_UPLOAD_INVALID BLOB_UPLOAD_UNKNOWN DIGEST_INVALID MANIFEST_BLOB_UNKNOWN MANIFEST_INVALID
    MANIFEST_UNKNOWN NAME_INVALID NAME_UNKNOWN SIZE_INVALID UNAUTHORIZED DENIED UNSUPPORTED TOOMANYREQUESTS TAG_INVALID
);
my $SLOW = 10;    # seconds; a machine may be busy

my $registry = Registry->start;
my %TYPE     = %Registry::Client::TYPE;
my $layer    = random_bytes(1000);
my ($config, $manifest) = $registry->image_of([$layer]);
is_status($registry->push_image('good/name', 'v1', [$layer]), 201, 'an image is pushed');
my $good      = digest($layer);
my $hex       = $good =~ s/.*://r;
my $place     = $registry->start_upload('good/name');
wait_for(60, sub { $registry->output =~ /indexed layer data/ });    # who did that is gone then
my @processes = $registry->processes;

my (@requests, %names);

# The bytes of a request, by its parts.
sub request ($method, $path, %o) {
    my %headers = (Host => 'registry.test', Connection => 'close', %{ $o{headers} // {} });
    $headers{'Content-Length'} //= length $o{body} if defined $o{body};
    my $head = "$method $path HTTP/1.1\r\n";
    for my $name (sort keys %headers) {
        $head .= "$name: $_\r\n" for grep { defined } ref $headers{$name} ? @{ $headers{$name} } : $headers{$name};
    }
    return "$head\r\n" . ($o{body} // '');
}

# Options: bytes (as they are), status (a list; any of 400 .. 499); others as request.
sub refuse ($name, $method, $path, %o) {
    die "twice: $name" if $names{$name}++;
    push @requests, { name => $name, method => $method, bytes => $o{bytes} // request($method, $path, %o), %o };
    return;
}

sub shown ($text) {
    my $plain = sub ($part) { return $part =~ s/([^ -~])/sprintf '\\x%02x', ord $1/ger };
    return $plain->($text) if length $text <= 40;
    return $plain->(substr $text, 0, 20) . '...' . $plain->(substr $text, -12) . ' (' . length($text) . ')';
}

# ---- names ----

my @names = (
    'A', 'a..b', 'a/-b', '_a', 'a_', 'a___b', 'a.', '.a', '-a', 'a-', 'a/B/c', '..', 'a/../b', './a', 'a%20b', 'a:b', 'a@b',
    'a%00b', 'a%0Ab', 'a%2Fb', 'a%5Cb', 'a//b', '%FF', '%C3%A9', "\xff", "\xc3\xa9", 'a~b', 'a+b', 'a!b', 'a*b', 'a%', 'a%2',
    'a%zz', 'a' x 256, 'a/' x 127 . 'ab', 'a/' x 600 . 'a', '%2e%2e', 'a%252Fb', 'a\\b', 'a%7Fb', 'a;b', "a'b", 'a"b',
);
for my $name (@names) {
    my $shown = shown($name);
    refuse("name $shown: tags", 'GET', "/v2/$name/tags/list", status => [ 400, 404 ]);
    refuse("name $shown: POST", 'POST', "/v2/$name/blobs/uploads/", body => '', status => [ 400, 404 ]);
    refuse("name $shown: PUT", 'PUT', "/v2/$name/manifests/v1", body => $manifest,
        headers => { 'Content-Type' => $TYPE{manifest} }, status => [ 400, 404 ]);
}

# ---- digests ----

my @digests = (
    'sha256:', 'sha256:12', 'sha256:' . 'g' x 64, 'sha256:' . 'A' x 64, 'sha256:' . '0' x 63, 'sha256:' . '0' x 65,
    'md5:' . '0' x 32, "SHA256:$hex", "sha512:$hex", "sha256:$hex%00", "sha256:$hex%0A", 'sha256:..%2f..%2fetc%2fpasswd',
    "sha256::$hex", ":$hex", "sha384:" . '0' x 96, "sha256:$hex,$good", "sha256+b64:$hex", "sha256:%20$hex", "sha1024:" . '0' x 256,
);
for my $digest (@digests) {
    my $shown = shown($digest);
    refuse("digest $shown: GET blob",  'GET',  "/v2/good/name/blobs/$digest", status => [ 400, 404 ]);
    refuse("digest $shown: HEAD blob", 'HEAD', "/v2/good/name/blobs/$digest", status => [ 400, 404 ]);
    refuse("digest $shown: DELETE manifest", 'DELETE', "/v2/good/name/manifests/$digest", status => [ 400, 404 ]);
    refuse("digest $shown: referrers", 'GET', "/v2/good/name/referrers/$digest", status => [ 400, 404 ]);
    refuse("digest $shown: PUT", 'PUT', "$place?digest=$digest", body => 'x', status => [400]);
    refuse("digest $shown: POST", 'POST', "/v2/good/name/blobs/uploads/?digest=$digest", body => 'x', status => [400]);
    refuse("digest $shown: mount", 'POST', "/v2/good/name/blobs/uploads/?mount=$digest", body => '', status => [400]);
}

# ---- tags ----

for my $tag ('-a', '.a', 'a%20b', 't' x 129, 'a%0A', '%FF', 'a,b', 'a@b', 'a%2Fb', 'a%2525', '%00', 'a%3Cb', '..', '%2e%2e', '%') {
    my $shown = shown($tag);
    refuse("tag $shown: $_", $_, "/v2/good/name/manifests/$tag", status => [ 400, 404 ],
        $_ eq 'PUT' ? (body => $manifest, headers => { 'Content-Type' => $TYPE{manifest} }) : ())
        for qw(GET PUT DELETE);
    refuse("tag $shown: ?tag=", 'PUT', '/v2/good/name/manifests/' . digest($manifest) . "?tag=$tag", status => [400],
        body => $manifest, headers => { 'Content-Type' => $TYPE{manifest} }) if $tag !~ /^%00$/;
}
refuse('seventeen tags at once', 'PUT', '/v2/good/name/manifests/' . digest($manifest) . '?' . join('&', map { "tag=t$_" } 1 .. 17),
    body => $manifest, headers => { 'Content-Type' => $TYPE{manifest} }, status => [414]);

# ---- ranges of chunks, with ten bytes ----

my @ranges = (
    'x', '-1-9', '0-', '-9', '9-0', '0-9;', '0-9, 10-19', 'bytes', 'bytes 0-', 'lines 0-9/10', '0-18446744073709551616',
    '18446744073709551606-18446744073709551615', '0-9/', '0-9/x', '0 - 9', '0x0-0x9', "0-9\x00", '0-10', '0-8', '1-10',
    '0-9 0-9', '+0-9', '0--9', "\xd9\xa0-\xd9\xa9", '0-9/9/9', '0-9/9', 'bytes=-10', 'bytes */10',
);
for my $range (@ranges) {
    refuse('Content-Range ' . shown($range), 'PATCH', $place, body => 'x' x 10, headers => { 'Content-Range' => $range },
        status => [ 400, 416 ]);
}

# ---- queries ----

refuse("query $_", 'GET', "/v2/good/name/tags/list?$_", status => [400])
    for 'n=x', 'n=-1', 'n=1.5', 'n=1e3', 'n=%00', 'n=0x10', 'n=%2B1', 'n=1%20', 'last=%', 'last=%0', 'last=%zz', 'last=%00',
    'x=%', '%zz=1';
refuse("query of 100 parameters: $_", $_, '/v2/good/name/blobs/uploads/?' . join('&', map { "a$_=1" } 1 .. 100), body => '', status => [414])
    for qw(POST PUT);
refuse("query of the catalog: $_",  'GET', "/v2/_catalog?$_", status => [400]) for 'n=x', 'n=-1', 'last=%g0';
refuse("query of referrers: $_", 'GET', "/v2/good/name/referrers/$good?$_", status => [400])
    for 'n=x', 'last=latest', 'last=sha256:12', 'artifactType=%00';
refuse("digest-algorithm=$_", 'POST', "/v2/good/name/blobs/uploads/?digest-algorithm=$_", body => '', status => [400])
    for 'md5', '', 'sha384', '%00', 'SHA512', '../x';
refuse('PUT without a digest', 'PUT', $place, body => 'x', status => [400]);

# ---- documents ----

sub descriptor_of ($bytes) { return $registry->descriptor('layer', $bytes) }

sub manifest_with (%members) {
    return json_of({ schemaVersion => 2, mediaType => $TYPE{manifest}, layers => [ descriptor_of($layer) ],
        config => $registry->descriptor('config', $config), %members });
}
my $note = manifest_with(annotations => { x => 'NOTE' });
my %documents = (
    'nothing'                    => '',
    'a NUL'                      => "\0",
    'blanks'                     => "  \n ",
    'a byte order mark'          => "\xef\xbb\xbf$manifest",
    'UTF-16'                     => join('', map { "$_\0" } split //, $manifest),
    'no JSON'                    => 'hello',
    'half of one'                => substr($manifest, 0, length($manifest) / 2),
    'all but the end'            => substr($manifest, 0, -1),
    'two of them'                => "$manifest$manifest",
    'something behind'           => "${manifest}x",
    'a NUL behind'               => "$manifest\0",
    'a comment'                  => "/* */$manifest",
    'single quotes'              => $manifest =~ tr/"/'/r,
    'a comma too much'           => $manifest =~ s/\}$/,}/r,
    'a list'                     => "[$manifest]",
    'a number'                   => '2',
    'a text'                     => '"manifest"',
    'null'                       => 'null',
    'NaN'                        => $manifest =~ s/"schemaVersion":2/"schemaVersion":NaN/r,
    'an empty object'            => '{}',
    'schema version 1'           => manifest_with(schemaVersion => 1),
    'a text as version'          => manifest_with(schemaVersion => '2'),
    'a fraction as version'      => $manifest =~ s/"schemaVersion":2/"schemaVersion":2.5/r,
    'invalid UTF-8'              => $note =~ s/NOTE/\xc3\x28/r,
    'overlong UTF-8'             => $note =~ s/NOTE/\xc0\xaf/r,
    'a surrogate in UTF-8'       => $note =~ s/NOTE/\xed\xa0\x80/r,
    'a control character'        => $note =~ s/NOTE/\x01/r,
    'a bad escape'               => $note =~ s/NOTE/\\x/r,
    'half an escape'             => $note =~ s/NOTE/\\u12/r,
    'a text as layers'           => manifest_with(layers => 'x'),
    'an object as layers'        => manifest_with(layers => {}),
    'numbers as layers'          => manifest_with(layers => [1]),
    'null as a layer'            => manifest_with(layers => [undef]),
    'no config'                  => $manifest =~ s/"config":\{[^}]*\},//r,
    'a list as config'           => manifest_with(config => []),
    'a layer without digest'     => manifest_with(layers => [ { mediaType => $TYPE{layer}, size => 1 } ]),
    'a layer without size'       => manifest_with(layers => [ { mediaType => $TYPE{layer}, digest => $good } ]),
    'a layer without type'       => manifest_with(layers => [ { size => 1000, digest => $good } ]),
    'a layer of a bad type'      => manifest_with(layers => [ { %{ descriptor_of($layer) }, mediaType => "a\nb/c" } ]),
    'a negative size'            => manifest_with(layers => [ { %{ descriptor_of($layer) }, size => -1 } ]),
    'a huge size'                => manifest_with() =~ s/"size":1000\b/"size":99999999999999999999999/r,
    'a size with a fraction'     => manifest_with() =~ s/"size":1000\b/"size":1000.5/r,
    'a size as text'             => manifest_with(layers => [ { %{ descriptor_of($layer) }, size => '1000' } ]),
    'a path as digest'           => manifest_with(layers => [ { %{ descriptor_of($layer) }, digest => 'sha256:../../x' } ]),
    'a number as digest'         => manifest_with(layers => [ { %{ descriptor_of($layer) }, digest => 5 } ]),
    'a digest of unknown kind'   => manifest_with(layers => [ { %{ descriptor_of($layer) }, digest => 'md5:' . '0' x 32 } ]),
    'also an index'              => manifest_with(manifests => []),
    'another media type'         => manifest_with(mediaType => $TYPE{docker_manifest}),
    'a number as media type'     => manifest_with(mediaType => 5),
    'a bad artifact type'        => manifest_with(artifactType => 'no type'),
    'a text as subject'          => manifest_with(subject => 'x'),
    'a subject without digest'   => manifest_with(subject => { mediaType => $TYPE{manifest}, size => 1 }),
    'a subject of a bad digest'  => manifest_with(subject => { mediaType => $TYPE{manifest}, size => 1, digest => 'sha256:1' }),
    'too many layers'            => manifest_with(layers => [ (descriptor_of($layer)) x 1001 ]),
    '200 000 brackets'           => '[' x 200_000,
    '200 000 brackets, closed'   => '[' x 200_000 . ']' x 200_000,
    '200 000 brackets, within'   => $note =~ s/"NOTE"/'[' x 200_000 . ']' x 200_000/er,
    '100 000 objects'            => '{"a":' x 100_000 . '1' . '}' x 100_000,
    '33 deep'                    => $note =~ s/"NOTE"/'[' x 33 . ']' x 33/er,
    'a long number'              => $note =~ s/"NOTE"/'9' x 100_000 . 'x'/er,
);
refuse("manifest: $_", 'PUT', '/v2/good/name/manifests/bad', body => $documents{$_},
    headers => { 'Content-Type' => $TYPE{manifest} }, status => [400])
    for sort keys %documents;
refuse("manifest sent as '$_'", 'PUT', '/v2/good/name/manifests/bad', body => $manifest, headers => { 'Content-Type' => $_ }, status => [400])
    for $TYPE{index}, 'text/plain', 'nonsense', "a/b\x01", 'x' x 4000, 'application/vnd.docker.distribution.manifest.v1+json';
refuse('manifest of 10 MB', 'PUT', '/v2/good/name/manifests/bad', body => $note =~ s/NOTE/'x' x 10_000_000/er,
    headers => { 'Content-Type' => $TYPE{manifest} }, status => [413]);
refuse('manifest of 10 MB, of brackets', 'PUT', '/v2/good/name/manifests/bad', body => '[' x 10_000_000,
    headers => { 'Content-Type' => $TYPE{manifest} }, status => [413]);
refuse('manifest under another digest', 'PUT', "/v2/good/name/manifests/$good", body => $manifest,
    headers => { 'Content-Type' => $TYPE{manifest} }, status => [400]);

# ---- paths ----

my @paths = (
    '/v2/good%2Fname/tags/list', '/v2/good/name/tags%2Flist', '/v2//good/name/tags/list',
    '/v2/good/name//tags/list', '/v2/good/./name/tags/list', '/v2/good/x/../name/tags/list', '/v2/good/%2e/name/tags/list',
    '/v2/good/x/%2E%2e/name/tags/list', '/v2/good/name/tags/list/', '/v2/good/name/tags/list%00', '/v2/good/name/tags/list%0A',
    '/v2/good/name/tags/list%0D%0AX:%20y', '/v2/good/name/tags/list%', '/v2/good/name/tags/list%u0041', '/v2/good/name\\tags/list',
    '/v2/good/name/tags/list%252F', '/v2/good/name/tags', '/v2/good/name', '/v2/good/name/unknown/x', '/v2/good/name/blobs/',
    '/v2/good/name/manifests/', '/v2/../v2/good/name/tags/list', '/v2/./', '/v2/%2e%2e/v2/', '/v2/good/name/blobs/uploads/x/y',
    '/v2/good/name/blobs/uploads/' . 'x' x 3000, '/v2/good/name/blobs/uploads/%2e%2e', '/v2/_catalog/', '/v2/_catalog/x', '/v2/_unknown',
    '/v2/' . 'a/' x 3000 . 'tags/list', '/v2/good/name/tags/list#part', '/v2/' . 'x' x 40_000, '/v2/?' . 'x' x 40_000, "/v2/\x80\xff/tags/list",
    '/v2/good/name/blobs/uploads/0', '/v2/good/name/referrers/', '/v2/good/name/referrers/latest',
    '/v2/..%2f..%2f..%2fetc/passwd', '/v2/....//....//etc/passwd', '/v2/good/name/blobs/..%5c..%5cdb',
);
refuse('path ' . shown($_), 'GET', $_, status => [ 400, 404, 414 ]) for @paths;
refuse('absolute form: ' . shown($_), 'GET', $_, status => [ 400, 404 ])
    for 'http://x/v2/good%2Fname/tags/list', 'http://u:p@x/v2/Good/tags/list', 'http://x/v2/a/../b/tags/list';

# ---- HTTP ----

my $host = "Host: registry.test\r\nConnection: close\r\n";
my $get  = "GET /v2/good/name/tags/list HTTP/1.1\r\n";
my $put  = "PUT /v2/good/name/manifests/bad HTTP/1.1\r\nContent-Type: $TYPE{manifest}\r\n$host";
my $push = "PATCH $place HTTP/1.1\r\n$host";
my %raw  = (
    'method BREW'                  => "BREW /v2/ HTTP/1.1\r\n$host\r\n",
    'method get'                   => "get /v2/ HTTP/1.1\r\n$host\r\n",
    'method BREW of an upload'     => "BREW $place HTTP/1.1\r\n${host}Content-Length: 1\r\n\r\nx",
    'method POST of an upload'     => "POST $place HTTP/1.1\r\n${host}Content-Length: 1\r\n\r\nx",
    'method PUT of all uploads'    => "PUT /v2/good/name/blobs/uploads/ HTTP/1.1\r\n${host}Content-Length: 1\r\n\r\nx",
    'method TRACE'                 => "TRACE /v2/ HTTP/1.1\r\n$host\r\n",
    'method CONNECT'               => "CONNECT /v2/ HTTP/1.1\r\n$host\r\n",
    'method PROPFIND'              => "PROPFIND /v2/good/name/tags/list HTTP/1.1\r\n$host\r\n",
    'method of 3000 letters'       => 'X' x 3000 . " /v2/ HTTP/1.1\r\n$host\r\n",
    'method PATCH of a list'       => "PATCH /v2/good/name/tags/list HTTP/1.1\r\n$host\r\n",
    'method POST of a blob'        => "POST /v2/good/name/blobs/$good HTTP/1.1\r\n${host}Content-Length: 0\r\n\r\n",
    'method PUT of the catalog'    => "PUT /v2/_catalog HTTP/1.1\r\n${host}Content-Length: 0\r\n\r\n",
    'method DELETE of the catalog' => "DELETE /v2/_catalog HTTP/1.1\r\n$host\r\n",
    'HTTP/1.1 without Host'        => "${get}Connection: close\r\n\r\n",
    'two Hosts'                    => "${get}${host}Host: other.test\r\n\r\n",
    'a bad Host'                   => "${get}Host: a/b\r\nConnection: close\r\n\r\n",
    'HTTP/9.9'                     => "GET /v2/ HTTP/9.9\r\n$host\r\n",
    'HTTP/1.x'                     => "GET /v2/ HTTP/1.x\r\n$host\r\n",
    'HTTP/11'                      => "GET /v2/ HTTP/11\r\n$host\r\n",
    'no version, with headers'     => "GET /v2/ \x01 HTTP/1.1\r\n$host\r\n",
    'blanks within the line'       => "GET /v2/ x HTTP/1.1\r\n$host\r\n",
    'a NUL in the line'            => "GET /v2/\0 HTTP/1.1\r\n$host\r\n",
    'a NUL in a header'            => "${get}${host}X: a\0b\r\n\r\n",
    'a blank before the colon'     => "${put}Content-Length : 3\r\n\r\n{} ",
    'a header of 40 000 letters'   => "${get}${host}X: " . 'x' x 40_000 . "\r\n\r\n",
    'a name of 40 000 letters'     => "${get}${host}" . 'X' x 40_000 . ": y\r\n\r\n",
    'a cookie of 100 000 letters'  => "${get}${host}Cookie: " . 'x' x 100_000 . "\r\n\r\n",
    'two thousand headers'         => "${get}${host}" . join('', map { "X-$_: " . 'y' x 30 . "\r\n" } 1 .. 2000) . "\r\n",
    'no length'                    => "${put}\r\n",
    'length -1'                    => "${put}Content-Length: -1\r\n\r\n",
    'length +3'                    => "${put}Content-Length: +3\r\n\r\n{} ",
    'length 0x3'                   => "${put}Content-Length: 0x3\r\n\r\n{} ",
    'length 3,3'                   => "${put}Content-Length: 3,3\r\n\r\n{} ",
    'length 3 3'                   => "${put}Content-Length: 3 3\r\n\r\n{} ",
    'length of 30 digits'          => "${put}Content-Length: " . '9' x 30 . "\r\n\r\n",
    'length of 2^63'               => "${put}Content-Length: 9223372036854775808\r\n\r\n",
    'length of nothing'            => "${put}Content-Length: \r\n\r\n",
    'two equal lengths'            => "${put}Content-Length: 3\r\nContent-Length: 3\r\n\r\n{} ",
    'two lengths'                  => "${put}Content-Length: 3\r\nContent-Length: 30\r\n\r\n{} ",
    'a length and chunks'          => "${put}Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    'chunks and a length'          => "${push}Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n",
    'chunked twice'                => "${push}Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    'chunked, chunked'             => "${push}Transfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n",
    'chunks in HTTP/1.0'           => "PATCH $place HTTP/1.0\r\n${host}Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    'encoding gzip'                => "${push}Transfer-Encoding: gzip\r\n\r\n",
    'encoding gzip, chunked'       => "${push}Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
    'encoding xchunked'            => "${push}Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
    'encoding \x0bchunked'         => "${push}Transfer-Encoding: \x0bchunked\r\n\r\n0\r\n\r\n",
    'a chunk size of letters'      => "${put}Transfer-Encoding: chunked\r\n\r\nxyz\r\n{}\r\n0\r\n\r\n",
    'a negative chunk size'        => "${put}Transfer-Encoding: chunked\r\n\r\n-2\r\n{}\r\n0\r\n\r\n",
    'a huge chunk size'            => "${put}Transfer-Encoding: chunked\r\n\r\nffffffffffffffffff\r\n{}\r\n0\r\n\r\n",
    'a chunk size of 0x2'          => "${put}Transfer-Encoding: chunked\r\n\r\n0x2\r\n{}\r\n0\r\n\r\n",
    'a chunk longer than said'     => "${put}Transfer-Encoding: chunked\r\n\r\n2\r\n{}{}\r\n0\r\n\r\n",
    'a chunk of an upload, longer' => "${push}Transfer-Encoding: chunked\r\n\r\n2\r\nxxxx\r\n0\r\n\r\n",
    'a chunk of an upload, bad'    => "${push}Transfer-Encoding: chunked\r\n\r\nzz\r\nxx\r\n0\r\n\r\n",
    'two credentials'              => "${get}${host}Authorization: Basic YTpi\r\nAuthorization: Basic YTpi\r\n\r\n",
    'a manifest of 5 MB announced' => "${put}Content-Length: 5000000\r\n\r\n",
    'an unmet expectation of 5 MB' => "${put}Content-Length: 5000000\r\nExpect: 100-continue\r\n\r\n",
);
refuse("HTTP: $_", $raw{$_} =~ /^HEAD/ ? 'HEAD' : 'GET', '', bytes => $raw{$_}) for sort keys %raw;

# Nothing can be answered to the one who didn't finish his request and hung up.
my %torn = (
    'half a request line'    => 'GET /v2/go',
    'half a header'          => "${get}Host: x\r\nX-",
    'half a body'            => "${put}Content-Length: 100\r\n\r\n{",
    'half a chunk'           => "${put}Transfer-Encoding: chunked\r\n\r\n10\r\n{}",
    'no last chunk'          => "${put}Transfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n",
    'half an upload'         => "${push}Content-Length: 400000\r\n\r\n" . 'x' x 300_000,
    'half a chunk of one'    => "${push}Transfer-Encoding: chunked\r\n\r\n61a80\r\n" . 'x' x 300_000,
    'no last chunk of one'   => "${push}Transfer-Encoding: chunked\r\n\r\n493e0\r\n" . 'x' x 300_000 . "\r\n",
    'nothing at all'         => '',
);

# ---- what comes back ----

# What is wrong with an answer to a malformed request; nothing when it is as it should be.
sub faults ($request, $response, $seconds) {
    my $status = $response->status;
    return $response->content if $status == 599;
    my @wanted = @{ $request->{status} // [ 400 .. 499 ] };
    my @faults;
    push @faults, "status $status, not @wanted[0 .. ($#wanted > 3 ? 0 : $#wanted)]" if !grep { $_ == $status } @wanted;
    push @faults, sprintf 'after %.1f s', $seconds if $seconds > $SLOW;
    push @faults, 'Content-Type ' . ($response->header('Content-Type') // 'missing')
        if ($response->header('Content-Type') // '') ne 'application/json';
    push @faults, 'no Docker-Distribution-Api-Version' if ($response->header('Docker-Distribution-Api-Version') // '') ne 'registry/2.0';
    push @faults, 'no Allow' if $status == 405 && !defined $response->header('Allow');
    return @faults if $request->{method} eq 'HEAD';
    my $json = $response->json;
    return (@faults, 'no OCI error') if ref $json ne 'HASH' || ref $json->{errors} ne 'ARRAY' || !@{ $json->{errors} };
    for my $error (@{ $json->{errors} }) {
        push @faults, "code $error->{code}" if !$CODES{ $error->{code} // '' };
        push @faults, 'no message' if !length($error->{message} // '');
    }
    return @faults;
}

# The connection is closed after the answer to a HEAD, and nothing more has come.
sub ask ($request) {
    my $connection = $registry->connect;
    my $started    = time;
    $connection->send($request->{bytes});
    my $response = $connection->response($request->{method});
    my @faults   = faults($request, $response, time - $started);
    push @faults, 'a body' if $request->{method} eq 'HEAD' && length($connection->{seen} . ($connection->_more ? $connection->{seen} : ''));
    $connection->close;
    return @faults;
}

cmp_ok(scalar @requests, '>=', 300, scalar(@requests) . ' malformed requests');
for my $request (@requests) {
    my @faults = ask($request);
    ok(!@faults, $request->{name}) or diag(join "\n", @faults);
}

for my $name (sort keys %torn) {
    my $connection = $registry->connect;
    $connection->send($torn{$name});
    shutdown $connection->{socket}, 1;
    my $response = $connection->response;
    ok($response->status == 599 ? $response->content =~ /closed/ : $response->status =~ /^4/, "torn: $name: the connection is closed")
        or diag($response->describe);
    $connection->close;
}

# One request cannot be hidden in another: what follows is answered for itself, or not at all.
subtest 'smuggling' => sub {
    my $inner = "GET /v2/_catalog HTTP/1.1\r\nHost: x\r\n\r\n";
    my %shapes = (
        'length and chunks'  => "${push}Content-Length: " . (length($inner) + 5) . "\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n$inner",
        'a tab before chunked' => "${push}Content-Length: 5\r\nTransfer-Encoding:\tchunked\r\n\r\n0\r\n\r\n$inner",
        'a folded header'    => "${push}Content-Length: 5\r\nTransfer-Encoding:\r\n chunked\r\n\r\n0\r\n\r\n$inner",
        'a bare line feed'   => "${push}X: y\nTransfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n$inner",
        'a blank before the colon' => "${push}Transfer-Encoding : chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n$inner",
        'a bare CR'          => "${push}X: y\rTransfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n$inner",
    );
    for my $shape (sort keys %shapes) {
        my $connection = $registry->connect;
        $connection->send($shapes{$shape} =~ s/Connection: close\r\n//r);
        my @answers;
        while (@answers < 3) {
            my $response = $connection->response;
            last if $response->status == 599;
            push @answers, $response;
            last if ($response->header('Connection') // '') =~ /close/i || !$connection->answers_within(1);
        }
        is(scalar(grep { $_->content =~ /repositories/ } @answers), 0, "$shape: the request within isn't answered")
            or diag(map { $_->describe } @answers);
        $connection->close;
    }
};

is_deeply([ $registry->processes ], \@processes, 'no process has died, and none was started');
is_status($registry->get($place), 204, 'the upload that they all met is as it was', Range => '0-0');
is_status($registry->delete($place), 204, '... and goes');
is_tidy($registry);
is_deeply($registry->get('/v2/good/name/tags/list')->json->{tags}, ['v1'], 'no tag has come of it');
is_deeply($registry->get('/v2/_catalog')->json->{repositories}, ['good/name'], '... and no repository');
is_blob($registry, 'good/name', $layer, 'the registry goes on');
finish();
