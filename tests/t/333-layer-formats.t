# Layers of every format that there is: tars of all kinds, by GNU's and BSD's tar and by hand, packed in
# every way. All are seen as they were made, and files are read out of them.
use v5.36;
use Registry limit => 180;
use Registry::ImageTree;
use Registry::Layers;
use Registry::Tools;
use Test::More;

need('tar', 'gzip', 'zstd', 'xz', 'bzip2');
my $registry = Registry->start(args => [ '--index-wait', '30s' ]);
my $tmp      = tempdir();
my $n        = 0;

# Pushes a layer, and compares what is seen with a directory, or with another listing; its base.
sub seen ($name, $layer, $want) {
    my $image = 'f' . ++$n;
    push_layers($registry, $image, 'latest', $layer);
    my $base  = "/v2/$image/_image/latest";
    my $first = wait_for(60, sub { my $a = $registry->get("$base/stat/"); return $a->status != 503 && $a });
    is($first->status, 200, "$name: can be seen") or return diag($first->describe);
    my $listed      = image_tree($registry, $base);
    my @differences = tree_differences($listed, $want);
    is(scalar @differences, 0, "$name: as it was made") or diag(join "\n", @differences[ 0 .. ($#differences < 9 ? $#differences : 9) ]);
    return $base;
}
sub content ($base, $path) { return $registry->get("$base/blobs/" . encoded_path($path))->content }

# ---- by programs that make tars ----

my $dir = "$tmp/made";
mkdir $_ for $dir, "$dir/sub", "$dir/sub/empty";
spew("$dir/a",         'a file');
spew("$dir/sub/large", my $large = join '', map { "line $_ of many\n" } 1 .. 60_000);
spew("$dir/zero",      '');
symlink 'sub/large', "$dir/link";
symlink '/nowhere',  "$dir/sub/dangling";
link "$dir/a", "$dir/sub/hard";
chmod 04755, "$dir/zero";
chmod 01777, "$dir/sub/empty";
utime 1_234_567_890, 1_234_567_890, "$dir/a";

sub tar_by (@command) {
    my $ran = run([@command], cwd => $dir);
    die "@command: $ran->{err}" if $ran->{exit};
    return $ran->{out};
}
my $plain = unpacked_tree($dir);
my %tar   = map { $_ => tar_by('tar', '--numeric-owner', "--format=$_", '-cf', '-', '.') } qw(v7 ustar oldgnu gnu pax);
seen("tar --format=$_", plain_layer($tar{$_}), $plain) for sort keys %tar;
SKIP: {
    skip 'bsdtar is not installed', 6 if !find_program('bsdtar');
    seen("bsdtar --format=$_", plain_layer(tar_by('bsdtar', "--format=$_", '-cf', '-', '.')), $plain) for qw(v7 ustar pax);
}

# Names and links that are too long for the old formats, and for their fields.
my $long = join '/', map { $_ x 60 } 'a' .. 'e';
run([ 'mkdir', '-p', "$dir/$long" ]);
spew("$dir/$long/" . 'n' x 200, 'deep');
symlink 'l' x 300, "$dir/longlink";
$plain = unpacked_tree($dir);
for my $format (qw(oldgnu gnu pax)) {
    my $base = seen("long names, $format", gzip_layer(tar_by('tar', '--numeric-owner', "--format=$format", '-cf', '-', '.')), $plain);
    is(content($base, "$long/" . 'n' x 200), 'deep', "long names, $format: can be read");
}

# Sparse files.
my $sparse = "\0" x 300_000 . 'in the middle' . "\0" x 500_000 . 'near the end' . "\0" x 70_000;
open my $out, '>:raw', "$dir/sparse" or die $!;
for my $part ([ 300_000, 'in the middle' ], [ 800_013, 'near the end' ]) { seek $out, $part->[0], 0; print $out $part->[1] }
truncate $out, length $sparse;
close $out;
open $out, '>:raw', "$dir/hole" or die $!;
truncate $out, 1 << 20;
close $out;
$plain = unpacked_tree($dir);
for my $how ([ 'gnu', '--format=gnu' ], map { [ "pax $_", '--format=pax', "--sparse-version=$_" ] } qw(0.0 0.1 1.0)) {
    my ($name, @options) = @$how;
    my $base = seen("sparse, $name", plain_layer(tar_by('tar', '--numeric-owner', @options, '-Scf', '-', '.')), $plain);
    ok(content($base, 'sparse') eq $sparse,         "sparse, $name: the file");
    ok(content($base, 'hole') eq "\0" x (1 << 20),  "sparse, $name: one of nothing but a hole");
    is($registry->get("$base/blobs/sparse", headers => { Range => 'bytes=299998-300015' })->content, "\0\0in the middle\0\0\0", "sparse, $name: a range");
}

# Ids that don't fit into the old fields; extended attributes; devices.
my %odd = (
    huge   => { type => 'file', mode => 0644, uid => 5_000_000_000, gid => 4_294_967_294, size => 1 },
    attrs  => { type => 'file', mode => 0600, uid => 0, gid => 0, size => 2 },
    null   => { type => 'character-device', mode => 0644, uid => 0, gid => 0 },
    disk   => { type => 'block-device', mode => 0644, uid => 0, gid => 0 },
    pipe   => { type => 'fifo', mode => 0644, uid => 0, gid => 0 },
);
for my $format (qw(gnu pax)) {
    my $base = seen("odd things, $format", plain_layer(tar_of(
        { name => 'huge',  format => $format, uid => 5_000_000_000, gid => 4_294_967_294, data => 'h' },
        { name => 'attrs', format => $format, mode => 0600, data => 'xy', pax => {
            'SCHILY.xattr.user.note' => "any\xff bytes", 'SCHILY.xattr.security.capability' => "\1\0\0\2" . "\0" x 16, 'LIBARCHIVE.xattr.user.b' => 'YQ==' } },
        { name => 'null', format => $format, type => '3', major => 1, minor => 3 },
        { name => 'disk', format => $format, type => '4', major => 8, minor => 0 },
        { name => 'pipe', format => $format, type => '6' })), \%odd);
    is(content($base, 'huge') . content($base, 'attrs'), 'hxy', "odd things, $format: the files");
}

# ---- packed in every way ----

my $tar  = $tar{gnu};
my $made = { map { $_ => $plain->{$_} } qw(a zero link sub sub/empty sub/large sub/hard sub/dangling) };
my @pieces = unpack '(a200000)*', $tar;
my %packed = (
    'gzip -1'                        => packed_by($tar, 'gzip', '-1', '-c'),
    'gzip -9'                        => packed_by($tar, 'gzip', '-9', '-c'),
    'gzip, not compressed'           => gzip_of($tar, 0),
    'gzip with a name'               => do { spew("$tmp/name", $tar); run([ 'gzip', '-c', "$tmp/name" ])->{out} },
    'gzip, members'                  => gzip_each(@pieces),
    'gzip, members, some empty'      => join('', map { gzip_of('') . gzip_of($_) } @pieces),
    'gzip, zeros behind'             => gzip_of($tar) . "\0" x 5000,
    'gzip, something behind'         => gzip_of($tar) . 'something',
    'zstd'                           => packed_by($tar, 'zstd', '-qc'),
    'zstd -19 with a checksum'       => packed_by($tar, 'zstd', '-19', '--check', '-qc'),
    'zstd, frames'                   => join('', map { packed_by($_, 'zstd', '-qc') } @pieces),
    'zstd, seekable'                 => join('', map { packed_by($_, 'zstd', '-qc') } @pieces) . skippable_frame('table' x 10),
    'zstd, skippable frames between' => join('', map { skippable_frame('x' x 12) . packed_by($_, 'zstd', '-qc') } @pieces),
    'xz'                             => packed_by($tar, 'xz', '-c'),
    'xz, streams'                    => join('', map { packed_by($_, 'xz', '-c') } @pieces),
    'bzip2'                          => packed_by($tar, 'bzip2', '-c'),
    'bzip2, streams'                 => join('', map { packed_by($_, 'bzip2', '-c') } @pieces),
);
$packed{pigz}            = packed_by($tar, 'pigz', '-c')       if find_program('pigz');
$packed{'pigz -i'}       = packed_by($tar, 'pigz', '-ic')      if find_program('pigz');
$packed{pzstd}           = packed_by($tar, 'pzstd', '-qc')     if find_program('pzstd');

for my $name (sort keys %packed) {
    my $base = seen($name, raw_layer($packed{$name}, $tar), $made);
    is(content($base, 'a'), 'a file', "$name: a file");
    ok(content($base, 'sub/large') eq $large, "$name: a larger one");
    is($registry->get("$base/blobs/sub/large", headers => { Range => 'bytes=700000-700099' })->content, substr($large, 700_000, 100), "$name: a range of it");
}

# A member (eStargz) or a frame (zstd:chunked) for each file and each header, and an index behind.
my (%text, %each);
for my $k (1 .. 30) {
    $text{"f$k"} = join ' ', $k, map { $_ * $k } 1 .. 3000;
    $each{"f$k"} = { type => 'file', mode => 0644, uid => 0, gid => 0, size => length $text{"f$k"} };
}
my $toc = '{"version":1,"entries":[]}';
my @members = map { my $e = tar_entry(name => $_, data => $text{$_}); (substr($e, 0, 512), substr $e, 512) } sort keys %text;
$each{'stargz.index.json'} = { type => 'file', mode => 0644, uid => 0, gid => 0, size => length $toc };
my $index = tar_entry(name => 'stargz.index.json', data => $toc) . tar_end();
my $base  = seen('eStargz', raw_layer(gzip_each(@members, $index) . gzip_of('', 0), join '', @members, $index), \%each);
ok(content($base, $_) eq $text{$_}, "eStargz: $_") for qw(f1 f17 f30);
delete $each{'stargz.index.json'};
my $chunked = join('', map { packed_by($_, 'zstd', '-qc') } @members, tar_end()) . skippable_frame($toc x 10) . skippable_frame('footer' x 8);
$base = seen('zstd:chunked', raw_layer($chunked, join '', @members, tar_end()), \%each);
ok(content($base, $_) eq $text{$_}, "zstd:chunked: $_") for qw(f1 f17 f30);

finish();
