# Layers that nobody makes who means well: what can be seen of them is what a container would see, or
# the answer says why nothing is; in bounded time and memory, and nothing of this machine is read.
use v5.36;
use Registry limit => 300;
use Registry::ImageTree;
use Registry::Layers;
use Registry::Process;
use Registry::Tools;
use Test::More;
use Time::HiRes qw(time);

# REGISTRY_EVIL_FULL=1: the bombs in full size.
my $full     = $ENV{REGISTRY_EVIL_FULL};
my $tmp      = tempdir();
my $registry = Registry->start(args => [ '--index-wait', '10s', '--index-time', '60s', $full ? () : ('--index-max-entries', 50_000) ]);
my @before   = grep { title_of($_) ne '' } $registry->processes;
my $secret   = 'the secret is ' . unpack('H*', random_bytes(16));
spew("$tmp/secret", $secret);
chmod 0644, "$tmp/secret";
my ($told, $slowest, $slowest_is, $n) = ('', 0, '', 0);

# An answer, whatever it is; all that comes is kept.
sub get ($path, %o) {
    my $began  = time;
    my $answer = wait_for(60, sub { my $a = $registry->get($path, %o); return $a->status != 503 && $a }) // $registry->get($path, %o);
    ($slowest, $slowest_is) = (time - $began, $path) if time - $began > $slowest;
    $told .= $answer->content if length $told < 50e6;
    return $answer;
}

# The listing of an image of these layers as lines: "f PATH SIZE", "d PATH", "l PATH TARGET", "h PATH TARGET".
my %LETTER = (file => 'f', directory => 'd', symlink => 'l', link => 'h', 'character-device' => 'c', 'block-device' => 'b', fifo => 'p');
sub listing ($image) {
    my $tree = image_tree($registry, "/v2/evil/$image/_image/latest");
    $told .= json_of($tree);
    return [ map {
        my $e = $tree->{$_};
        join ' ', $LETTER{ $e->{type} }, $_, $e->{type} eq 'file' ? $e->{size} : $e->{linkname} // ()
    } sort keys %$tree ];
}
sub evil ($image, @layers) {
    push_layers($registry, "evil/$image", 'latest', map { ref $_ ? $_ : raw_layer($_) } @layers);
    return get("/v2/evil/$image/_image/latest/tree/");
}
sub shows ($name, $want, @layers) {
    my $image  = 'i' . ++$n;
    my $answer = evil($image, @layers);
    is($answer->status, 200, "$name: can be seen") or return diag($answer->describe), $image;
    is_deeply(listing($image), $want, "$name: what is there") or diag(join "\n", @{ listing($image) });
    return $image;
}
sub refuses ($name, $why, @layers) {
    my $image  = 'i' . ++$n;
    my $answer = evil($image, @layers);
    is($answer->status, 422, "$name: can't be looked into") or diag($answer->describe);
    like($answer->message, $why, "$name: and the answer says why");
    my $digest = $registry->get("/v2/evil/$image/manifests/latest")->json->{layers}[0]{digest};
    is($registry->head("/v2/evil/$image/blobs/$digest")->status, 200, "$name: but it can be pulled");
    return $image;
}
sub blob ($image, $path, %o) { return get("/v2/evil/$image/_image/latest/blobs/" . encoded_path($path), %o) }

# ---- names and links ----

my $i = shows('names that lead out', [ 'f abs 1', 'f b 1', 'd etc', 'f etc/evil 1', 'f up 1', 'd x', 'd x/y', 'f x/y/z 1' ],
    tar_of('f ../up u', 'f /abs a', 'f a/../b b', 'f ../../../../etc/evil e', 'd .', 'd ..', 'f ./x/./y//z t'));
is(blob($i, 'etc/evil')->content, 'e', 'a name that leads out is inside');

my @links = ("h hard $tmp/secret", "h up ../../../../../..$tmp/secret", 'h self self', 'h a b', 'h b a', "l to $tmp/secret",
    "l rel ../../../../../../../..$tmp/secret", 'l l1 l2', 'l l2 l1', 'l me me', 'l dir .', 'f f x', 'l through dir/dir/dir/f',
    "l tmp $tmp", 'l etc /etc', 'l proc /proc/self/root');
$i = 'i' . ++$n;
is(evil($i, tar_of(@links))->status, 200, 'links to everywhere: can be seen');
listing($i);
is(blob($i, $_)->status, 404, "$_ leads to nothing")
    for qw(hard up self a b to rel l1 l2 me tmp/secret etc/passwd proc/etc/passwd);
like(blob($i, "../../../../../../../../..$tmp/secret")->status, qr/^40[04]$/, 'and so does a path that leads out');
is(blob($i, 'through')->content, 'x', 'a link that goes round is followed');
is(blob($i, ('dir/' x 39) . 'f')->content, 'x', 'thirty-nine links are followed');
is(blob($i, ('dir/' x 200) . 'f')->status, 404, 'two hundred are not');

# Links that lead to many of the layer below, and each of those to many again: no work without end.
$i = 'i' . ++$n;
evil($i, tar_of('l b .', 'f t x'),
    map { tar_of({ name => 'b', type => '1', link => join('/', ('b') x 39), format => 'gnu' }, "f t$_ x") } 1 .. 19);
is(blob($i, 't')->content, 'x', 'hard links from layer to layer: others can be read');
my $round = get("/v2/evil/$i/_image/latest/stat/b");
is($round->status, 422, '... but nothing that leads through them');
like($round->message, qr/takes too long/, '... and the answer says why');

# ---- one name, no names ----

$i = shows('one name twenty times', ['f same 2'], tar_of(map { "f same $_" } 1 .. 20));
is(blob($i, 'same')->content, '20', 'the last one counts');
$i = shows('all is hidden', [], tar_of('f a/b/c 1', 'f d 2', 'l e a'), tar_of('f .wh.a ', 'f .wh.d ', 'f .wh.e ', 'f .wh.nothing '));
is(blob($i, 'a/b/c')->status, 404, 'what is hidden can not be read');
shows('an opaque root', ['f new 1'], tar_of('f a 1'), tar_of('f .wh..wh..opq ', 'f new 1'));
shows('odd marks', ['f a 1'], tar_of('f a 1'), tar_of('f .wh. ', 'f .wh.. ', 'f .wh... '));
shows('nothing at all', [], raw_layer(''));
shows('only zeros', [], raw_layer("\0" x 10240));

# ---- sizes that lie ----

for my $format ('gnu', 'pax') {
    for my $size (5000, 1 << 20, 1 << 33) {
        my $tar = tar_entry(name => 'before', data => 'b')
            . tar_entry(name => 'f', size => $size, data => 'abc', format => $format) . tar_end();
        $i = shows("$format, $size bytes that aren't there", [ 'f before 1', "f f $size" ], $tar);
        is(blob($i, 'before')->content, 'b', 'what is before can be read');
        my $answer = blob($i, 'f');
        ok($answer->status != 200 || length $answer->content < $size, 'and such a file never seems to be complete');
    }
}
refuses('2^63 - 1 bytes', qr/not a tar.*overflow/, tar_entry(name => 'f', size => 9223372036854775807, data => 'abc', format => 'gnu') . tar_end());

# ---- streams that end, or go on ----

my $tar = tar_of(map { "f f$_ " . "text $_ " x 1000 } 10 .. 59);
my $all = [ map { "f f$_ 8000" } 10 .. 59 ];
for my $cut ([ 'a gzip that is cut', substr gzip_of($tar), 0, -500 ], [ 'a tar that is cut', gzip_of(substr $tar, 0, 200_000) ],
    [ 'a gzip with a flipped bit', do { my $z = gzip_of($tar); substr($z, -700, 1) ^.= "\x10"; $z } ])
{
    $i = 'i' . ++$n;
    my $answer = evil($i, $cut->[1]);
    is($answer->status, 200, "$cut->[0]: what is before that can be seen") or diag($answer->describe);
    my $seen = listing($i);
    cmp_ok(scalar @$seen, '>', 5, "$cut->[0]: some of it") && cmp_ok(scalar @$seen, '<', 50, "$cut->[0]: not all");
    is(blob($i, 'f11')->content, 'text 11 ' x 1000, "$cut->[0]: is right");
}
shows('a tar behind the tar', $all, gzip_of($tar . tar_of('f late 1')));
shows('a gzip behind the gzip', $all, gzip_of($tar) . gzip_of(tar_of('f late 1')));
shows('zeros behind the gzip', $all, gzip_of($tar) . "\0" x 1000);
shows('a text behind the gzip', $all, gzip_of($tar) . 'garbage');

# ---- bombs ----

refuses('10 GB of zeros in 10 MB', qr/expands to more than/, zeros_in_gzip(tar_entry(name => 'zero', size => 10 << 30, format => 'gnu'), (10 << 10) + 1));
my $mega = $full ? 10 << 10 : 600;
$i = shows('one block without end', [ 'f zero ' . ($mega << 20) ],
    one_block_of_zeros(tar_entry(name => 'zero', size => $mega << 20, format => 'gnu'), int(($mega << 20) / 2064) + 2));
is(blob($i, 'zero', headers => { Range => 'bytes=0-9' })->content, "\0" x 10, 'its beginning can be read');
$tar = blob($i, 'zero', headers => { Range => 'bytes=' . (($mega - 1) << 20) . '-' });
is($tar->status, 422, 'but not its end: there is no way to it');
like($tar->message, qr/download the layer/, 'and the answer says what to do');
sub zstd_with_window ($log, $bytes) { return pack('V C C', 0xfd2fb528, 0, $log - 10 << 3) . substr(pack('V', length($bytes) << 3 | 1), 0, 3) . $bytes }
refuses('a zstd window of 2 GB', qr/window/, zstd_with_window(31, tar_of('f a 1')));
shows('one of 8 MB', ['f a 1'], zstd_with_window(23, tar_of('f a 1')));
refuses('a pax header of a megabyte', qr/not a tar/, tar_of({ name => 'f', pax => { comment => 'c' x (1 << 20) } }));
shows('pax headers of 20000 records', [ map { "f f$_ 0" } 1 .. 5 ],
    gzip_of(tar_of(map { +{ name => "f$_", pax => { map { ("k$_" => 'v') } 1 .. 20_000 } } } 1 .. 5)));

sub sparse ($n, $size) {
    my $map = "$n\n" . join '', map { $_ * 1024 . "\n1\n" } 0 .. $n - 1;
    $map .= "\0" x (-length($map) % 512);
    return tar_entry(name => 'x', data => $map . 'd' x $n, pax => { 'GNU.sparse.major' => 1, 'GNU.sparse.minor' => 0,
        'GNU.sparse.name' => 'sparse', 'GNU.sparse.realsize' => $size }) . tar_end();
}
$i = 'i' . ++$n;
cmp_ok(evil($i, gzip_of(sparse($full ? 4_000_000 : 300_000, 1 << 42)))->status, '<', 500, 'a sparse file in hundreds of thousands of pieces has an answer');
is(blob($i, 'sparse')->status, 422, 'and can not be read here') if $registry->get("/v2/evil/$i/_image/latest/stat/sparse")->status == 200;
$i = shows('a sparse file that says 9 exabytes', ['f sparse 9000000000000000000'], gzip_of(sparse(3, '9000000000000000000')));
is(blob($i, 'sparse')->status, 422, 'is not sent');
$i = shows('a sparse file of 1 MB', ['f sparse 1048576'], gzip_of(sparse(3, 1 << 20)));
is(blob($i, 'sparse')->content, ('d' . "\0" x 1023) x 3 . "\0" x ((1 << 20) - 3072), 'is');

# ---- too much of something ----

my @many = (spew("$tmp/many", ''), $full ? 1_000_000 : 50_001);
open my $out, '>:raw', $many[0] or die $!;
my $entry = tar_entry(name => 'd/1000000');
for my $k (1 .. $many[1]) {
    my $header = $entry;
    substr $header, 2, 7, sprintf '%07d', $k;
    substr $header, 148, 8, ' ' x 8;
    substr $header, 148, 8, sprintf "%06o\0 ", unpack '%32C*', $header;
    print $out $header;
}
print $out tar_end();
close $out or die $!;
my $packed = run([ 'gzip', '-1', '-c', $many[0] ], timeout => 120);
refuses("$many[1] names in one directory", qr/more than 50*0000 entries/, $packed->{out});
unlink $many[0];

refuses('a name of 4000 bytes',          qr/no file system can hold/,   tar_of({ name => 'n' x 4000, format => 'gnu' }));
refuses('a name of 256 bytes',           qr/no file system can hold/,   tar_of({ name => 'n' x 256,  format => 'gnu' }));
refuses('a link of 5000 bytes',          qr/no file system can hold/,   tar_of({ name => 'l', type => '2', link => 'n' x 5000, format => 'gnu' }));
refuses('300 directories in each other', qr/more than 256 directories/, tar_of({ name => join('/', ('d') x 300), format => 'gnu' }));
$i = shows('a path of 4000 bytes', [ (map { 'd ' . join '/', ('p' x 99) x $_ } 1 .. 39), 'f ' . join('/', ('p' x 99) x 40) . ' 1' ],
    tar_of({ name => join('/', ('p' x 99) x 40), format => 'gnu', data => 'x' }));
is(blob($i, join '/', ('p' x 99) x 40)->content, 'x', 'and such a file can be read');
$i = shows('names of any bytes', [ 'f a 1', "f bad\xff\xfe 1", "f e\xcc\x81 1", "f new\nline 1", "f pax\xff 1" ],
    tar_of({ name => "a\0b", format => 'pax', data => 'x' }, { name => "new\nline", data => 'n' }, { name => "bad\xff\xfe", data => 'b' },
        { name => "pax\xff", format => 'pax', data => 'p' }, { name => "e\xcc\x81", format => 'pax', data => 'e' }));
is(blob($i, "bad\xff\xfe")->content, 'b', 'they can be read, too');
is(blob($i, "new\nline")->content,   'n', 'also with a newline');
is(get("/v2/evil/$i/_image/latest/blobs/a%00b")->status, 400, 'none has a NUL');
refuses('links that take long to follow', qr/unpacking it takes too long/, gzip_of(tar_of((map { "l l$_ " . 'x/../' x 700 . 'l' . ($_ + 1) } 1 .. 39), 'd x', 'd l40', map { "f l1/f$_ a" } 1 .. 5000)));

refuses('a text',            qr/not a tar/, "hello world\n" x 1000);
refuses('a text, by gzip',   qr/not a tar/, gzip_of("hello world\n" x 1000));
refuses('JSON',              qr/not a tar/, '{"a":1}');
refuses('random bytes',      qr/not a tar/, random_bytes(5000));
refuses('a negative size',   qr/not a tar/, do {
    my $h = tar_entry(name => 'f');
    substr $h, 124, 12, "\xff" x 12;
    substr $h, 148, 8, ' ' x 8;
    substr $h, 148, 8, sprintf "%06o\0 ", unpack '%32C*', $h;
    $h . tar_end();
});
my $mixed = push_layers($registry, 'evil/mixed', 'latest', plain_layer(tar_of('f a 1')), raw_layer('no tar'));
is(get('/v2/evil/mixed/_image/latest/tree/')->status, 422, 'an image with one such layer has no listing');
is(get('/v2/evil/mixed/_image/latest/layers/0/tree/')->status, 200, 'but its other layer has one');

# ---- and nothing else happened ----

is(index($told, $secret), -1, 'nothing of this machine was told');
unlike($told, qr/root:[^\n]*:0:0:/, 'also not its users');
is_deeply([ grep { title_of($_) ne '' && title_of($_) !~ /index/ } $registry->processes ], [ grep { alive($_) } @before ], 'all processes are those of the beginning');
is(scalar(grep { alive($_) } @before), scalar @before, 'none of them has died');
cmp_ok($slowest, '<', 60, sprintf 'the slowest answer took %.1f s (%s)', $slowest, $slowest_is);
for my $pid ($registry->children('worker browse'), $registry->children('keeper')) {
    my $kb = memory_peak_kb($pid);
    cmp_ok($kb, '<', 200_000, title_of($pid) . " had at most $kb kB") if !Registry->sanitized;
}
finish();
