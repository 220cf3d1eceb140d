# Two hundred and more requests of the first API that are wrong: each has its status, and an error in
# which everything is a string; no process dies, and what is good stays good.
use v5.36;
use Registry limit => 180;
use Registry::Checks;
use Registry::Connection ();
use Registry::Tools;
use Registry::V1;
use Test::More;

my $registry = Registry->start;
my $v1       = Registry::V1->new($registry);
my $good     = random_image();
is_status($_->[1], $_->[2], $_->[0]) for $v1->push_images('foo/bar', 'latest', $good);
sub all_processes () { return join ' ', sort { $a <=> $b } $registry->processes }
wait_for(60, sub { $registry->output =~ /indexed layer data/ });    # who did that is gone then
my $before = all_processes();
my $ID     = random_image()->{id};
my $MIB    = 1 << 20;

# [what, method, path, statuses, options]
my @requests;
sub wrong ($status, $method, $path, %o) { push @requests, [ $status, $method, $path, \%o ]; return }

# Ids that are none. To read one says that it isn't there, to write one that it is no id.
my @no_ids = ('x', '0', 'G' x 64, uc $ID, substr($ID, 0, 63), $ID . '0', substr($ID, 0, 16), substr($ID, 0, 3), '%2e%2e%2e', '%00',
    '*', 'sha256:' . $ID, "$ID.json", '%c3%a9', 'a' x 1000);
for my $id (@no_ids) {
    my $refused = $id eq '%00' ? 400 : 404;
    wrong($refused, GET => "/v1/images/$id/$_") for qw(json layer ancestry);
    wrong(400, PUT => "/v1/images/$id/json", body => '{}');
    wrong(400, PUT => "/v1/images/$id/layer", body => 'layer');
    wrong(400, PUT => "/v1/images/$id/checksum", body => '');
}
# None at all: 404, as docker's registry has it.
wrong(404, GET => "/v1/images//$_") for qw(json layer ancestry);
wrong(404, PUT => "/v1/images//$_", body => '{}') for qw(json checksum);
wrong([ 400, 404 ], GET => '/v1/images/' . $_) for '', '/', $ID, "$ID/", "$ID/x", "$ID/json/x", "$ID//json", "../$ID/json";

# JSON that isn't one, or isn't that of an image.
my @no_jsons = (
    '', ' ', 'x', 'null', 'true', '1', '"x"', '[]', '[{}]', '{', '{}', '{"id":null}', '{"id":1}', '{"id":"x"}', '{"id":[]}', '{"id":{}}',
    qq({"id":"\U$ID"}), qq({"id":"$good->{id}"}), qq({"id":"$ID",}), qq({'id':'$ID'}), qq({"id":"$ID"} x), qq({"id":"$ID"}{"id":"$ID"}),
    qq({"Id":"$ID"}), qq({"id":"$ID","x":"\xff"}), qq({"id":"$ID","x":"a\nb"}), qq({"id":"$ID","x":01}), qq({"id":"$ID","x":NaN}),
    "\xef\xbb\xbf{\"id\":\"$ID\"}", qq({"id":"$ID","x":) . '[' x 1000 . ']' x 1000 . '}', "\0" x 100,
    qq({"id":"$ID","parent":"x"}), qq({"id":"$ID","parent":1}), qq({"id":"$ID","parent":[]}), qq({"id":"$ID","parent":"$ID"}),
    qq({"id":"$ID","parent":"@{[ '0' x 64 ]}"}),
);
wrong(400, PUT => "/v1/images/$ID/json", body => $_) for @no_jsons;
wrong(413, PUT => "/v1/images/$ID/json", body => qq({"id":"$ID","x":") . 'x' x $MIB . '"}');
wrong(413, PUT => "/v1/images/$ID/json", body => 'x' x (4 * $MIB + 1));
wrong(413, PUT => "/v1/images/$ID/json", body => 'x' x (5 * $MIB), chunked => 1);

# Steps that come too early, or too late.
wrong(404, PUT => "/v1/images/$ID/layer", body => 'layer');
wrong(404, PUT => "/v1/images/$ID/layer", body => 'layer' x 100_000, chunked => 1);
wrong(404, PUT => "/v1/images/$ID/checksum", body => '', headers => { 'X-Docker-Checksum-Payload' => $good->{payload} });
wrong(409, PUT => "/v1/images/$good->{id}/json",  body => $good->{json});
wrong(409, PUT => "/v1/images/$good->{id}/layer", body => 'other');
wrong(400, PUT => "/v1/images/$good->{id}/checksum", body => '');
wrong(400, PUT => "/v1/images/$good->{id}/checksum", body => '', headers => { 'X-Docker-Checksum-Payload' => $_ }) for 'x', '""', '{', "sha256:$ID";

# Lists of images.
for my $body ('', 'x', '{', '{}', '"x"', '1', 'null', '[', '[{"id":]', '[' x 100 . ']' x 100) {
    wrong(400, PUT => '/v1/repositories/foo/bar/',       body => $body);
    wrong(400, PUT => '/v1/repositories/foo/bar/images', body => $body);
}
wrong(413, PUT => '/v1/repositories/foo/bar/', body => '[' . '1,' x (2 * $MIB + 10) . '1]');

# Names.
for my $name ('A', 'Foo/bar', 'foo/', 'foo//bar', '-foo/bar', 'foo-/bar', 'foo/..', '../foo', 'foo/./bar', 'foo%2fbar', 'foo/b%20r', 'foo/b%0ar',
    'foo/%', 'foo/%zz', 'foo/b@r', "foo/\xc3\xa9", 'x' x 300, 'foo/tags', 'foo/images', 'images', 'foo/json', 'foo/auth') {
    wrong([ 400, 404, 405 ], PUT => "/v1/repositories/$name", body => '[]') if $name !~ m{^foo/$|^(foo/)?(auth|images)$};
    wrong([ 400, 404 ], GET => "/v1/repositories/$name/tags") if $name !~ m{/$};
}
# What isn't there.
wrong(404, GET => "/v1/repositories/$_") for 'no/thing/images', 'no/thing/tags', 'no/thing/tags/latest', 'foo/bar/tags/other', 'nothing/tags';
wrong(404, DELETE => "/v1/repositories/$_") for 'no/thing', 'no/thing/', 'no/thing/tags', 'no/thing/tags/latest', 'foo/bar/tags/other';

# Tags.
for my $tag ('.x', '-x', 'x%20y', 'x@y', 'x:y', 'x' x 129, '%e2%82%ac') {
    wrong(400, PUT => "/v1/repositories/foo/bar/tags/$tag", body => qq("$good->{id}"));
    wrong(404, GET => "/v1/repositories/foo/bar/tags/$tag");
}
for my $body ('', $good->{id}, '{}', '[]', 'null', '1', '""', '"x"', qq("\U$good->{id}"), qq("$good->{id}" x), qq(["$good->{id}"]), '"' . 'x' x 5000 . '"') {
    wrong(400, PUT => '/v1/repositories/foo/bar/tags/new', body => $body);
}
wrong(404, PUT => '/v1/repositories/foo/bar/tags/new', body => qq("$ID"));

# Methods, and paths that there are not.
wrong([ 404, 405 ], $_ => "/v1/images/$good->{id}/json", body => '') for qw(POST DELETE PATCH BREW);
wrong([ 404, 405 ], POST => "/v1/images/$good->{id}/layer",    body => 'x');
wrong([ 404, 405 ], GET  => "/v1/images/$good->{id}/checksum");
wrong([ 404, 405 ], PUT  => "/v1/images/$good->{id}/ancestry", body => '[]');
wrong(404, GET => $_) for '/v1/', '/v1', '/v1/nothing', '/V1/_ping', '/v1/Images', '/v1/images', '/v1/_pings';
wrong(400, GET => $_) for '/v1/repositories?%zz', '/v1/repositories/foo%00/tags', '/v1/%zz';

cmp_ok(scalar @requests, '>=', 200, scalar(@requests) . ' requests');
my $told = 0;
for my $request (@requests) {
    my ($status, $method, $path, $o) = @$request;
    my $answer = $registry->request($method, $path, %$o);
    my $name   = "$method " . (length $path > 90 ? substr($path, 0, 90) . '...' : $path);
    $name .= ', ' . substr($o->{body}, 0, 40) =~ s/[^ -~]/?/gr if length($o->{body} // '');
    is_v1_error($answer, $status, $name);
    my $json = $answer->json;
    my @other = ref $json eq 'HASH' ? grep { ref $json->{$_} || $answer->content !~ /"\Q$_\E":"/ } keys %$json : ('no object');
    ok(!@other, '... only strings') if @other;
    $told++;
}

# What never was HTTP, or ended in the middle.
for my $bytes ("GET /v1/images/$ID/json HTTP/9.9\r\n\r\n", "PUT /v1/images/$ID/json HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n",
    "PUT /v1/images/$ID/layer HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", "GET /v1/x\0y HTTP/1.1\r\nHost: x\r\n\r\n",
    "GET /v1/images/$ID/json HTTP/1.1\r\nHost: x\r\nX-Y: " . 'y' x 40_000 . "\r\n\r\n") {
    my $answer = $registry->raw($bytes);
    my $what = substr $bytes, 0, 60;
    $what =~ s/[^ -~]/?/g;
    is_v1_error($answer, [ 400, 404, 413, 414, 431, 505, 501 ], $what);
}
subtest 'a body that ends before its end' => sub {
    $v1->put_json(my $image = random_image());
    for my $cut ("PUT /v1/images/$image->{id}/layer HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n1f4\r\n" . 'x' x 500,
        "PUT /v1/images/$image->{id}/layer HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n1f4\r\n" . 'x' x 500 . "\r\n",
        "PUT /v1/images/$image->{id}/layer HTTP/1.1\r\nHost: x\r\nContent-Length: 5000\r\n\r\n" . 'x' x 500) {
        my $connection = $registry->connect;
        $connection->send($cut);
        $connection->close;
    }
    is_tidy($registry);
    is_status($v1->get_json($image->{id}), 404, 'leaves no image');
    ok(!grep({ -s "$registry->{dir}/$_" == 500 } $registry->files('layers')), '... and no file');
    is_status($_->[1], 200, "and then: $_->[0]") for $v1->push_image($image);
};

wait_for(60, sub { all_processes() eq $before });
is(all_processes(), $before, 'every process lives');
is($registry->get("/v1/images/$good->{id}/json")->content, $good->{json}, 'what was good is good');
is($registry->get('/v1/repositories')->content, qq({"foo/bar":"$good->{id}"}), 'and there is nothing else');
is_tidy($registry);
finish();
