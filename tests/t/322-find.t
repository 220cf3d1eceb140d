# Names in an image, by patterns, a page at a time.
use v5.36;
use Registry limit => 180;
use Registry::Checks;
use Registry::Layers;
use Registry::Tools;
use Test::More;
use Time::HiRes qw(time);

my $registry = Registry->start;

sub escaped ($text) { return $text =~ s/([^A-Za-z0-9._-])/sprintf '%%%02X', ord $1/ger }
sub find ($tag, $glob, $more = '') { return $registry->get("/v2/team/app/_image/$tag/find?name=" . escaped($glob) . $more) }
sub found ($tag, $glob) { return join ' ', map { $_->{path} } @{ find($tag, $glob)->json } }

subtest 'patterns' => sub {
    push_layers($registry, 'team/app', 'v1', gzip_layer(tar_of('d etc/', 'f etc/passwd x', 'f etc/.hidden x', 'f README x', 'd usr/', 'd usr/lib/',
        'f usr/lib/a.so a', 'f usr/lib/b.so b', 'l usr/lib/c.so a.so', 'd usr/lib/deep/', 'd usr/lib/deep/so/', 'f usr/lib/deep/d.so x', 'h usr/hard usr/lib/a.so',
        'f usr/[x] x', 'f usr/a*b x', 'p usr/fifo')));
    my @cases = (
        [ 'passwd',       '/etc/passwd',                                         'a name, wherever it is' ],
        [ '*.so',         '/usr/lib/a.so /usr/lib/b.so /usr/lib/c.so /usr/lib/deep/d.so', 'a star' ],
        [ '?.so',         '/usr/lib/a.so /usr/lib/b.so /usr/lib/c.so /usr/lib/deep/d.so', 'a byte' ],
        [ '[!a]*.so',     '/usr/lib/b.so /usr/lib/c.so /usr/lib/deep/d.so',      'not in a set' ],
        [ '[a-b].so',     '/usr/lib/a.so /usr/lib/b.so',                         'a range' ],
        [ 'usr/lib/*.so', '/usr/lib/a.so /usr/lib/b.so /usr/lib/c.so',           'with a slash: the whole path' ],
        [ '/usr/lib/*.so', '/usr/lib/a.so /usr/lib/b.so /usr/lib/c.so',          '... with one in front as well' ],
        [ 'lib/*.so',     '',                                                    '... and not a part of it' ],
        [ 'usr/**/*.so',  '/usr/lib/a.so /usr/lib/b.so /usr/lib/c.so /usr/lib/deep/d.so', 'two stars go through directories' ],
        [ '**/so/',       '/usr/lib/deep/so/',                                   'a slash behind: directories' ],
        [ 'd*/',          '/usr/lib/deep/',                                      '... by name' ],
        [ '\[x\]',        '/usr/[x]',                                            'a backslash makes ordinary' ],
        [ 'a\*b',         '/usr/a*b',                                            '... a star, too' ],
        [ '.h*',          '/etc/.hidden',                                        'a dot is nothing special' ],
        [ '*hid*',        '/etc/.hidden',                                        '... for a star' ],
        [ 'readme',       '',                                                    'case counts' ],
        [ 'a/b/c',        '',                                                    'nothing is found' ],
    );
    for my $case (@cases) {
        my ($glob, $want, $what) = @$case;
        is(found('v1', $glob), $want, "$glob: $what");
    }
    is(scalar @{ find('v1', '**')->json }, 16, 'all');
    is_status(my $got = find('v1', 'a.so'), 200, 'an answer', 'Content-Type' => 'application/json', 'Docker-Distribution-Api-Version' => 'registry/2.0');
    is_deeply($got->json, [ $registry->get('/v2/team/app/_image/v1/stat/usr/lib/a.so')->json ], 'is of entries, as stat gives them');
    is(find('v1', 'nothing')->content, '[]', 'none is an empty array');
    ok(!defined $got->header('Link'), 'without a Link it is all');
    my $head = $registry->head('/v2/team/app/_image/v1/find?name=a.so');
    is_status($head, 200, 'HEAD', 'Content-Type' => 'application/json', 'Content-Length' => length $got->content);
};

subtest 'layers' => sub {
    my @layers = (gzip_layer(tar_of('d d/', 'f d/old x', 'f d/kept x', 'd o/', 'f o/kept x')),
        map({ gzip_layer(tar_of("f d/kept$_ x")) } 2 .. 8), gzip_layer(tar_of('f d/.wh.kept3 ', 'f d/.wh.old ', 'f o/.wh..wh..opq ')), gzip_layer(tar_of('f d/kept4 longer')));
    push_layers($registry, 'team/app', 'ten', @layers);
    is(found('ten', 'kept*'), '/d/kept /d/kept2 /d/kept4 /d/kept5 /d/kept6 /d/kept7 /d/kept8', 'of ten layers what is not removed');
    is(found('ten', 'old'), '', 'and nothing that is');
    is(found('ten', '.wh.*'), '', 'nor what removes it');
    is(find('ten', 'kept4')->json->[0]{size}, 6, 'the uppermost counts');
};

subtest 'pages' => sub {
    my @names = sort map { sprintf 'd/%s%04d', $_ % 3 ? 'x y&=' : "\xff%", $_ } 1 .. 2500;
    push_layers($registry, 'team/app', 'many', gzip_layer(tar_of('d d/', map({ { name => $_ } } @names), 'f dd/z x')));
    my $whole = find('many', 'd/*');
    is(scalar @{ $whole->json }, 1000, 'a thousand without n');
    is(scalar @{ find('many', 'd/*', '&n=100000')->json }, 1000, 'and no more with it');
    for my $n (1, 7, 999) {
        my ($url, $pages, @got) = ("/v2/team/app/_image/many/find?name=d%2F*&n=$n", 0);
        while (defined $url && $pages < ($n == 1 ? 12 : 1000)) {
            my $got = $registry->get($url);
            is_status($got, 200, "page $pages of $n") or last if $got->status != 200 || $pages == 0;
            push @got, map { $_->{path_b64} // $_->{path} } @{ $got->json };
            $pages++;
            ($url) = ($got->header('Link') // '') =~ /^<(.*)>; rel="next"$/;
        }
        my %seen;
        ok(!grep({ $seen{$_}++ } @got), "n=$n: none twice");
        is(scalar @got, $n == 1 ? 12 : 2500, '... and none left out');
        ok(!defined $url, 'the last page has no Link') if $n > 1;
    }
    is(find('many', 'd/*', '&n=0')->content, '[]', 'n=0: nothing');
    is(join(' ', map { $_->{path} } @{ find('many', '**', '&last=' . escaped('/d/' . "\xff\xff"))->json }), '/dd/ /dd/z', 'behind a path that need not be there');
    is_error(find('many', 'd/*', '&n=x'), 400, 'UNSUPPORTED', 'n is a number');
};

subtest 'patterns that would cost' => sub {
    my $long = 'a' x 250;
    push_layers($registry, 'team/app', 'costly', gzip_layer(tar_of(map { { name => "$long$_", format => 'gnu' } } 1 .. 2000)));
    my $stars = '*a' x 120 . 'b';
    my $since = time;
    is(find('costly', $stars)->content, '[]', '120 stars that nearly fit 2000 names');
    is(find('costly', '**a' x 80 . 'b')->content, '[]', 'or of two each');
    ok(time - $since < 60, 'are no work without end') or diag(time - $since);
    is_error(find('costly', '*' x 256), 414, 'UNSUPPORTED', 'too long');
    is_status(find('costly', '*' x 255, '&n=1'), 200, 'the longest');
    is_error($registry->get("/v2/team/app/_image/costly/find$_"), 400, 'UNSUPPORTED', "find$_") for '', '?name=';
};

subtest 'platforms, and what is not there' => sub {
    my %of = map { $_ => push_layers($registry, 'team/app', "only-$_", gzip_layer(tar_of("f file-$_ x", 'f more x'))) } qw(amd64 arm64);
    my $type  = $Registry::Client::TYPE{manifest};
    my $index = json_of({ schemaVersion => 2, mediaType => $Registry::Client::TYPE{index}, manifests => [ map { {
        mediaType => $type, digest => $of{$_}, size => length $registry->get("/v2/team/app/manifests/$of{$_}", headers => { Accept => $type })->content,
        platform => { os => 'linux', architecture => $_ } } } sort keys %of ] });
    is($registry->put_manifest('team/app', 'multi', $index, $Registry::Client::TYPE{index})->status, 201, 'an index of two platforms');
    is(found('multi', 'file-*'), '/file-amd64', 'amd64, unless another is asked for');
    my $other = find('multi', 'file-*', '&platform=linux/arm64');
    is($other->json->[0]{path}, '/file-arm64', 'which is taken then');
    my ($next) = (find('multi', '*', '&platform=linux/arm64&n=1')->header('Link') // '') =~ /^<(.*)>/;
    like($next, qr/platform=linux(?:%2F|\/)arm64/, '... and is taken by the next page');
    is_deeply([ map { $_->{path} } @{ $registry->get($next)->json } ], ['/more'], '... which has the rest');
    is(find('multi', '*', '&platform=linux/s390x')->status, 404, 'there is none such');
    is_error(find('none', '*'), 404, 'MANIFEST_UNKNOWN', 'no such tag');
    is($registry->get('/v2/team/else/_image/v1/find?name=*')->status, 404, 'no such repository');
    push_layers($registry, 'team/app', 'broken', raw_layer('no tar at all'));
    is(find('broken', '*')->status, 422, 'a layer that is no tar');
};

finish();
