# What a layer carries for nothing: its files that later layers replace or remove.
use v5.36;
use Registry limit => 120;
use Registry::Checks;
use Registry::Layers;
use Registry::Tools;
use Test::More;

my $registry = Registry->start;
my @layers   = (
    gzip_layer(tar_of('d etc/', 'f etc/keep x', 'f etc/motd old', 'l etc/link motd', 'd usr/', 'd usr/lib/', 'f usr/lib/a aaa', 'f usr/lib/b bbbb', 'd gone/', 'd gone/sub/', 'f gone/sub/y yy', 'f gone/x x',
        'f thing x', 'd dir/', 'f dir/f dir', 'd other/', 'f other/f other', { name => "bad\xff", data => 'zzz', format => 'gnu' })),
    gzip_layer(tar_of('f etc/motd newer', 'f usr/lib/.wh.a ', 'f .wh.gone ', 'l dir other', { name => ".wh.bad\xff", data => '', format => 'gnu' })),
    gzip_layer(tar_of('d etc/', 'f etc/motd newest', 'f etc/link x', 'd usr/', 'd usr/lib/', 'f usr/lib/.wh..wh..opq ', 'f usr/lib/c c', 'd thing/', 'f thing/z z')),
);
push_layers($registry, 'team/app', 'v1', @layers);
is_status($registry->get('/v2/team/app/_image/v1/tree/'), 200, 'an image is indexed');

sub hidden ($n, $query = '') { return $registry->get("/v2/team/app/_image/v1/layers/$n/hidden$query") }
sub texts ($got) { return [ map { "$_->{path} $_->{hidden}" } @{ $got->json } ] }

my @all = ("/bad\x{fffd} removed", '/dir/f removed', '/etc/link replaced', '/etc/motd replaced', '/gone/sub/y removed', '/gone/x removed', '/thing replaced', '/usr/lib/a removed', '/usr/lib/b removed');
is_deeply(texts(hidden(0)), \@all, 'the lowest layer');
is_deeply(texts(hidden(1)), ['/etc/motd replaced'], 'the next');
is_deeply(hidden(2)->json, [], 'of the highest, nothing is hidden');

my $history = $registry->get('/v2/team/app/_image/v1/history')->json;
for my $n (0 .. 2) {
    my $sum = 0;
    $sum += $_->{size} // 0 for @{ hidden($n)->json };
    is($sum, $history->[$n]{hidden_bytes}, "the bytes of layer $n are those of its history");
}
my ($motd) = grep { $_->{path} eq '/etc/motd' } @{ hidden(0)->json };
is_deeply([ @$motd{qw(type size layer)} ], [ 'file', 3, digest($layers[0]{blob}) ], 'an entry is that of its layer');
is(hidden(0)->json->[0]{path_b64}, 'L2JhZP8=', 'a name that is no UTF-8');

for my $n (1, 2, 4) {
    my ($next, @found, $pages) = ("/v2/team/app/_image/v1/layers/0/hidden?n=$n");
    for ($pages = 0; defined $next && $pages < 20; $pages++) {
        my $got = $registry->get($next);
        is($got->status, 200, $next) or last;
        push @found, @{ texts($got) };
        ($next) = ($got->header('Link') // '') =~ /^<([^>]*)>; rel="next"$/;
    }
    is_deeply([ \@found, $pages ], [ \@all, int((@all + $n - 1) / $n) ], "in pages of $n");
}
is_deeply(texts(hidden(0, '?last=/gone/x')), [ @all[ 6 .. 8 ] ], 'behind a path');
is_deeply(texts(hidden(0, '?last=zzz')), [], 'behind all');
is_deeply(hidden(0, '?n=0')->json, [], 'n=0');

is_error(hidden(3), 404, 'NOT_FOUND', 'a layer that is not there');
is_error(hidden($_), 404, 'NOT_FOUND', "layer $_") for 'x', '-1';
is_error(hidden(0, '?n=x'), 400, 'UNSUPPORTED', 'n=x');
is_status($registry->head('/v2/team/app/_image/v1/layers/0/hidden'), 200, 'HEAD');
is_error($registry->post('/v2/team/app/_image/v1/layers/0/hidden'), 405, 'UNSUPPORTED', 'nothing else');

# A layer that can't be looked into hides it of what is below, and not of what is above.
push_layers($registry, 'team/app', 'bad', $layers[0], raw_layer('this is no tar'), @layers[ 1, 2 ]);
$registry->get('/v2/team/app/_image/bad/tree/');
my $got = $registry->get('/v2/team/app/_image/bad/layers/0/hidden');
isnt($got->status, 200, 'below a layer that cannot be looked into') or diag($got->content);
like($got->message, qr/not browsable/, '... which the answer says');
is_deeply(texts($registry->get('/v2/team/app/_image/bad/layers/2/hidden')), ['/etc/motd replaced'], '... and above it');

# Many files, and an index that has to be made again.
push_layers($registry, 'team/many', 'v1', gzip_layer(tar_of(map { sprintf 'f f%05d x', $_ } 1 .. 12_000)), gzip_layer(tar_of(map { sprintf 'f .wh.f%05d ', $_ } 1 .. 11_999)));
is_status($registry->get('/v2/team/many/_image/v1/tree/?n=1'), 200, 'an image of many files is indexed');
my ($next, $n) = ('/v2/team/many/_image/v1/layers/0/hidden', 0);
for (my $pages = 0; defined $next && $pages < 20; $pages++) {
    my $page = $registry->get($next);
    $n += @{ $page->json };
    ($next) = ($page->header('Link') // '') =~ /^<([^>]*)>; rel="next"$/;
}
is($n, 11_999, 'all of them, in pages');

finish();
