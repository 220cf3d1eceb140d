# What is different between two images, a line for each path.
use v5.36;
use Registry limit => 180;
use JSON::PP ();
use MIME::Base64 qw(encode_base64);
use Registry::Checks;
use Registry::Clients qw(curl);
use Registry::Layers;
use Registry::Tools;
use Test::More;

my $registry = Registry->start;

sub diff ($from, $to, $more = '') { return $registry->get("/v2/team/app/_image/$to/diff?from=$from$more") }

# "add /x", "change /y size,content"
sub lines ($got) {
    return map {
        my $is = JSON::PP::decode_json($_);
        join ' ', $is->{op}, $is->{path}, map { defined $_ ? join ',', @$_ : () } $is->{changed}, $is->{unknown}
    } split /\n/, $got->content;
}

sub file (%o) { return { type => '0', format => 'pax', %o } }

subtest 'each kind of change' => sub {
    my @same = ('d etc/', 'f etc/same x', 'l etc/link same', 'c etc/device', 'h etc/hard etc/same');
    my $old  = gzip_layer(tar_of(@same, 'f etc/gone 1', 'f etc/size 12', 'f etc/content 12', file(name => 'mode'), file(name => 'owner'),
        file(name => 'time', data => 'same'), file(name => 'nanos', pax => { mtime => '1000000000.25' }), 'l to a', 'f kind x', 'c null', 'd was/', 'd was/in/',
        'f was/in/it x', 'f turned x', 'd left/', 'f left/f x', { name => 'suid', mode => 04755 }));
    my $new = gzip_layer(tar_of(@same, 'd new/', 'f new/file 1', 'f etc/size 123', 'f etc/content 13', file(name => 'mode', mode => 0600),
        file(name => 'owner', uid => 1, gid => 3_000_000_000), file(name => 'time', mtime => 999_999_999, data => 'same'),
        file(name => 'nanos', pax => { mtime => '1000000000.75' }), 'l to b', 'l kind x', { name => 'null', type => '3', minor => 3 }, 'd turned/', 'f turned/in x', 'f left x',
        { name => 'suid', mode => 0755 }));
    push_layers($registry, 'team/app', 'old', $old);
    my $digest = push_layers($registry, 'team/app', 'new', $new);
    is_status(my $got = diff('old', 'new'), 200, 'a difference', 'Content-Type' => 'application/x-ndjson', 'Docker-Distribution-Api-Version' => 'registry/2.0');
    is_deeply([ lines($got) ], [
            'change /etc/content content', 'remove /etc/gone', 'change /etc/size size,content', 'change /kind type',
            'change /left type,mode', 'remove /left/f', 'change /mode mode', 'change /nanos mtime', 'add /new/', 'add /new/file', 'change /null device',
            'change /owner uid,gid', 'change /suid mode', 'change /time mtime', 'change /to link', 'change /turned/ type,mode', 'add /turned/in',
            'remove /was/', 'remove /was/in/', 'remove /was/in/it' ], 'all of it, and nothing else') or diag($got->content);
    is(diff('old', $digest)->content, $got->content, 'the same by digest');
    is(diff('new', 'new')->content, '', 'an image is no different from itself');
    my %back = (add => 'remove', remove => 'add', change => 'change');
    my @turned = sort map { s/^(\w+)/$back{$1}/r =~ s{/(?= type)}{}r } lines(diff('new', 'old'));
    is_deeply(\@turned, [ sort map { s{/(?= type)}{}r } lines($got) ], 'backwards it is the same, turned round');
    my $head = $registry->head('/v2/team/app/_image/new/diff?from=old');
    is_status($head, 200, 'HEAD', 'Content-Type' => 'application/x-ndjson');
    is($head->content, '', '... without a body');
};

subtest 'layers, whiteouts, the same bytes in another layer' => sub {
    my $bytes = cheap_bytes(300_000);
    my $base = gzip_layer(tar_of('d a/', 'f a/1 one', 'f a/2 two', 'd b/', 'f b/x x', 'f b/y y', { name => 'big', data => $bytes }));
    my @more = map { gzip_layer(tar_of("f layer$_ $_", $_ == 4 ? 'f a/.wh.1 ' : (), $_ == 7 ? ('f b/.wh..wh..opq ', 'f b/z z') : ())) } 1 .. 9;
    my $again = gzip_layer(tar_of('f a/2 two', { name => 'big', data => $bytes }));
    my $other = gzip_layer(tar_of({ name => 'big', data => substr($bytes, 0, 299_999) . (substr($bytes, -1) eq "a" ? "b" : "a") }));
    push_layers($registry, 'team/app', 'base',  $base);
    push_layers($registry, 'team/app', 'ten',   $base, @more);
    push_layers($registry, 'team/app', 'again', $base, @more, $again);
    push_layers($registry, 'team/app', 'other', $base, @more, $other);
    is_deeply([ lines(diff('base', 'ten')) ], [ 'remove /a/1', 'remove /b/x', 'remove /b/y', 'add /b/z', map { "add /layer$_" } 1 .. 9 ],
        'ten layers against the lowest');
    is(diff('ten', 'again')->content, '', 'the same bytes in another layer are no difference');
    is_deeply([ lines(diff('ten', 'other')) ], ['change /big content'], 'one byte of 300000 is');
};

subtest 'names of any bytes' => sub {
    push_layers($registry, 'team/app', 'none', gzip_layer(tar_of('d d/')));
    my @names = ("d/\xff\n\"", 'd/' . 'l' x 255, "d/\xc3\xa4 b", 'd.x', 'd-x');
    push_layers($registry, 'team/app', 'odd', gzip_layer(tar_of('d d/', map { { name => $_, format => 'gnu' } } @names)));
    my @got = map { JSON::PP::decode_json($_) } split /\n/, diff('none', 'odd')->content;
    is(scalar @got, @names, 'a line for each');
    my %named = map { $_->{path_b64} // $_->{path} => $_ } @got;
    ok($named{ encode_base64("/d/\xff\n\"", '') }, 'one that is no UTF-8 has its bytes in path_b64');
    ok($named{"/d/\x{e4} b"}, 'UTF-8 is as it is');
    ok($named{ '/d/' . 'l' x 255 }, 'long ones are whole');
};

# An index of images for linux on these machines.
sub push_index ($tag, %of) {
    my $type  = $Registry::Client::TYPE{manifest};
    my $size  = sub ($digest) { length $registry->get("/v2/team/app/manifests/$digest", headers => { Accept => $type })->content };
    my @parts = map { { mediaType => $type, digest => $of{$_}, size => $size->($of{$_}), platform => { os => 'linux', architecture => $_ } } } sort keys %of;
    my $index = json_of({ schemaVersion => 2, mediaType => $Registry::Client::TYPE{index}, manifests => \@parts });
    my $put   = $registry->put_manifest('team/app', $tag, $index, $Registry::Client::TYPE{index});
    die $put->describe if $put->status != 201;
    return;
}

subtest 'platforms' => sub {
    my %of = map { $_ => push_layers($registry, 'team/app', "only-$_", gzip_layer(tar_of('f f x', "f $_ x"))) } qw(amd64 arm64 other);
    push_index('multi', amd64 => $of{amd64}, arm64 => $of{arm64});
    push_index('later', amd64 => $of{amd64}, arm64 => $of{other});
    is(diff('only-amd64', 'multi')->content, '', 'of an index amd64, unless another is asked for');
    is_deeply([ lines(diff('multi', $of{arm64})) ], [ 'remove /amd64', 'add /arm64' ], '... on both sides');
    is(diff('multi', 'later')->content, '', 'two indexes with the same for amd64');
    is_deeply([ lines(diff('multi', 'later', '&platform=linux/arm64')) ], [ 'remove /arm64', 'add /other' ], '... and others for arm64');
    is_error(diff('multi', 'later', '&platform=linux/s390x'), 404, 'MANIFEST_UNKNOWN', 'there is none such');
    is_error(diff('multi', 'later', '&platform=x'), 400, 'UNSUPPORTED', 'no platform at all');
};

subtest 'what can not be compared' => sub {
    is_error($registry->get('/v2/team/app/_image/new/diff'), 400, 'UNSUPPORTED', 'without from');
    is_error(my $none = diff('none-such', 'new'), 404, 'MANIFEST_UNKNOWN', 'from what is not there');
    is($none->json->{errors}[0]{detail}{reference}, 'none-such', '... which is named');
    is_error(diff('old', 'none-such'), 404, 'MANIFEST_UNKNOWN', 'and to that');
    is_error(diff('sha256:' . '0' x 64, 'new'), 404, 'MANIFEST_UNKNOWN', 'a digest that is not there');
    push_layers($registry, 'team/app', 'broken', raw_layer('no tar at all'));
    for my $case ([ 'old', 'broken' ], [ 'broken', 'old' ]) {
        my $got = diff(@$case);
        is($got->status, 422, "diff from $case->[0] to $case->[1]: a layer that is no tar");
        like($got->message, qr/sha256:/, '... is named');
    }
    is($registry->get('/v2/team/else/_image/new/diff?from=old')->status, 404, 'another repository');
};

subtest 'a blob that was cut' => sub {
    my $data = random_bytes(2_000_000);
    my @layers = map { gzip_layer(tar_of({ name => 'a', data => "$_" }, { name => 'big', data => substr($data, 1) . $_ }, { name => 'z', data => $_ })) } 1, 2;
    push_layers($registry, 'team/app', "cut$_", $layers[ $_ - 1 ]) for 1, 2;
    is_deeply([ lines(diff('cut1', 'cut2')) ], [ map { "change /$_ content" } qw(a big z) ], 'before');
    my ($blob) = $registry->blob_files(digest($layers[1]{blob}));
    chmod 0640, $registry->dir . "/$blob";
    truncate $registry->dir . "/$blob", 1_000_000 or die "$blob: $!";
    my $ran = curl('--write-out', '%{http_code}', 'http://127.0.0.1:' . $registry->port . '/v2/team/app/_image/cut2/diff?from=cut1');
    works($ran, 'when it can be read no further than a half');
    like($ran->{out}, qr{^\{"op":"change","path":"/a","changed":\["content"\]\}$}m, 'what comes before is known');
    like($ran->{out}, qr{^\{"op":"change","path":"/$_","changed":\[\],"unknown":\["content"\]\}$}m, "$_ is unknown, not the same") for qw(big z);
    is(diff('old', 'new')->status, 200, 'and all goes on');
};

finish();
