# What is shown of an image is what umoci makes of it, path by path and byte for byte: files of this
# machine's system, and above them layers of random changes, made by umoci.
#
# REGISTRY_SEED (1) makes other changes; REGISTRY_ENTRIES (1500), REGISTRY_LAYERS (20), REGISTRY_BIG (32, MB of the
# one large file) make it larger.
use v5.36;
use Registry limit => 3600;
use Registry::ImageTree;
use Registry::Tools;
use Digest::SHA ();
use File::Find ();
use File::Path ();
use POSIX ();
use Test::More;
use Time::HiRes qw(time);

need('umoci');
skip_or_fail('only root can unpack an image with the owners of its files') if !is_root();
my $seed    = $ENV{REGISTRY_SEED}    // 1;
my $entries = $ENV{REGISTRY_ENTRIES} // 1500;
my $layers  = $ENV{REGISTRY_LAYERS}  // 20;
my $big     = ($ENV{REGISTRY_BIG}    // 32) << 20;
srand $seed;
note("REGISTRY_SEED=$seed");

my $tmp    = tempdir();
my $root   = "$tmp/bundle/rootfs";
my $began  = time;
my $step   = sub ($what) { note(sprintf '%6.1f s  %s', time - $began, $what) };

sub umoci (@args) {
    my $ran = run([ 'umoci', @args ], cwd => $tmp, timeout => 1800);
    die "umoci @args: $ran->{err}$ran->{out}" if $ran->{exit} || $ran->{signal};
    return;
}
sub repack () { return umoci('repack', '--refresh-bundle', '--image', 'layout:image', 'bundle') }
sub one_of (@list) { return $list[ rand @list ] }

# ---- the lowest layer: a system ----

umoci('init', '--layout', 'layout');
umoci('new', '--image', 'layout:image');
umoci('unpack', '--image', 'layout:image', 'bundle');

sub system_files ($n) {
    my ($bytes, @names) = (0);
    my $wanted = sub {
        my @is = lstat;
        return if @names >= $n || !@is || !(-d _ || -f _ || -l _) || !-r $_ && !-l $_ || $bytes > 40e3 * $n;
        return if -f _ && (-s _ > 20e6 || $n < 10_000 && -s _ > 100e3);
        $bytes += -s _ if -f _;
        push @names, substr $_, 1;
    };
    my $tree = sub (@at) { File::Find::find({ no_chdir => 1, preprocess => sub { sort @_ }, wanted => $wanted }, grep { -d } @at) };
    $tree->('/etc', '/usr/share/perl', '/usr/share/zoneinfo', '/usr/bin', '/usr/share/doc', '/usr/sbin', '/usr/lib', '/usr/share', '/var/lib/dpkg');
    return @names;
}
my @system = system_files($entries);
spew("$tmp/names", join '', map { "$_\0" } @system);
my $copied = run([ 'sh', '-c', 'tar -C / --null --no-recursion --ignore-failed-read -cf - -T "$1" | tar -C "$2" -xpf -', 'sh', "$tmp/names", $root ], timeout => 900);
die "tar: $copied->{err}" if $copied->{exit};
mkdir "$root/opt";
mkdir "$root/opt/data";
open my $large, '>:raw', "$root/opt/data/large" or die $!;
my $block = random_bytes(1 << 20);
for my $i (1 .. $big >> 20) {
    # Such as can be compressed by half, and is nowhere the same.
    my $piece = substr($block, 0, 1 << 19) . join '', map { sprintf "%015d\n", $i * 32768 + $_ } 1 .. 32768;
    print $large $piece ^. pack('N', $i * 2654435761 % 2**32) x (length($piece) / 4);
}
close $large or die $!;
repack();
$step->(scalar(@system) . ' files of this system, and one of ' . ($big >> 20) . ' MB');

# ---- layers of random changes ----

my $made = 0;
# No newline: umoci takes it apart when such a directory is gone.
sub fresh_name () {
    my @odd = ('with space', "b\xff\xfetes", 'umlaut-' . "\xc3\xa4", '-dash', '%2e%2e', 'x' x 200, '#?&;', '.dot', "tab\t", 'back\\slash', '"quote"');
    return 'n' . ++$made . (rand() < 0.4 ? one_of(@odd) : '');
}
my (@dirs, @files, @others);
sub look_around () {
    my $tree = unpacked_tree($root);
    @dirs   = sort grep { $tree->{$_}{type} eq 'directory' } keys %$tree;
    # umoci wants to read two of them.
    @files  = sort grep { $tree->{$_}{type} eq 'file' && !m{^(opt/data/large|etc/(passwd|group))$} } keys %$tree;
    @others = sort grep { $tree->{$_}{type} !~ /^(file|directory)$/ } keys %$tree;
}

# A path below the root, by whose directories nobody is led elsewhere: an earlier change of the same
# layer may have put a link there.
sub inside ($path) {
    die "$path\n" if index("/$path/", '/../') >= 0;
    my $at = $root;
    for my $name (split m{/}, $path =~ s{(?:^|/)[^/]*$}{}r) {
        $at .= "/$name";
        die "$at\n" if -l $at || !-d _;
    }
    return "$root/$path";
}
sub real_dir ($path)  { my $at = inside($path); die "$at\n" if -l $at || !-d _; return $at }
sub real_file ($path) { my $at = inside($path); die "$at\n" if -l $at || !-f _; return $at }
sub some_dir ()       { return real_dir(one_of(@dirs)) }
sub some_file ()      { return real_file(one_of(@files)) }
# One that isn't half of the system.
sub small_dir ()       { return real_dir(one_of(grep { m{/.*/.*/} && !m{^opt/data} } @dirs)) }
sub put_file ($path)   { return -l $path ? undef : spew($path, 'z' x rand(3000) . join '', map { chr rand 256 } 1 .. 1 + rand 2000) }
sub put_dir ($path) {
    mkdir $path, 0700 + int rand 0100 or die "$path\n";
    put_file("$path/" . fresh_name()) for 1 .. 1 + rand 3;
    mkdir "$path/sub";
    put_file("$path/sub/" . fresh_name());
}
sub drop ($path) { File::Path::remove_tree($path, { error => \my $ignored }) }
sub names_in ($dir) { opendir my $open, $dir or die "$dir\n"; return grep { !/^\.\.?$/ } readdir $open }

# No link takes a directory's place that leads to another one with the same names in it: umoci also
# writes that the old contents are gone, and removes them through the link when it unpacks.
my @changes = (
    sub { put_file(some_dir() . '/' . fresh_name()) },
    sub { put_dir(some_dir() . '/' . fresh_name()) },
    sub { unlink some_file() },
    sub { drop(small_dir()) },
    sub { put_file(some_file()) },
    sub { my $f = some_file(); unlink $f; put_dir($f) },
    sub { my $d = small_dir(); drop($d); put_file($d) },
    sub { my $d = small_dir(); drop($d); symlink one_of('/opt/data', '../nowhere', 'nowhere', 'a/b/c'), $d },
    sub { my $d = small_dir(); drop($d); put_dir($d) },
    sub { my $f = inside(one_of(@others)); unlink $f; rand() < 0.5 ? put_dir($f) : put_file($f) },
    sub { chmod int(rand 010000), some_file() },
    sub { chmod 0700 + int(rand 0100) + 01000 * int(rand 8), some_dir() },
    sub { chown int(rand 2**31), int(rand 70000), some_file() },
    sub { chown int(rand 3000), int(rand 3000), some_dir() },
    sub { link some_file(), some_dir() . '/' . fresh_name() },
    sub { my $f = some_dir() . '/' . fresh_name(); put_file($f); link $f, some_dir() . '/' . fresh_name() for 1 .. 3 },
    sub { symlink one_of('/etc/passwd', '../../..', "t\xff", "/$files[0]", 'x' x 300), some_dir() . '/' . fresh_name() },
    sub { POSIX::mkfifo(some_dir() . '/' . fresh_name(), 0640) },
    sub { my $d = small_dir(); rename $d, some_dir() . '/' . fresh_name() },
    sub { rename some_file(), some_dir() . '/' . fresh_name() },
    sub { my $d = small_dir(); drop("$d/$_") for names_in($d) },
);

# By a child that has the image's root for its own: wherever a link leads to, and whatever is wrong
# above, it is in the image, and no file of this machine. A device is made by its parent, in the root.
sub change ($i) {
    my $child = fork // die "fork: $!";
    if ($child == 0) {
        chroot $root and chdir '/' or POSIX::_exit(1);
        $root = '';
        srand $seed + 1000 * $i;
        # What an earlier change has taken away is no place for a later one: then nothing happens.
        my ($tried, $done) = (5 + int rand 40, 0);
        for (1 .. $tried) { $done += eval { one_of(@changes)->(); 1 } // 0 }
        POSIX::_exit($done > $tried / 2 ? 0 : 2);
    }
    waitpid $child, 0;
    die "the changes of layer $i: $?" if $?;
    run([ 'mknod', '-m', '0600', "$root/device$i", one_of('c', 'b'), int rand 255, int rand 255 ]) if $i % 4 == 0;
}

my $inserts = $layers > 8 ? 5 : 1;
for my $i (2 .. $layers - $inserts) {
    look_around();
    $made = 1000 * $i;
    change($i);
    repack();
}
$step->($layers - $inserts - 1 . ' layers of changes');

# By umoci insert: contents over what is there, opaque directories, and paths that are gone.
look_around();
my %taken;
for my $i (1 .. $inserts) {
    my $dir = one_of(grep { m{/} && !/[^ -~]/ && !m{^opt/data} } @dirs);
    my $top = $dir =~ s{/.*}{}r;
    put_dir("$tmp/insert$i");
    if ($i % 3 == 0) {
        my $gone = one_of(grep { !/[^ -~]/ && !$taken{$_}++ } @files);
        umoci('insert', '--image', 'layout:image', '--whiteout', "/$gone");
    } else {
        umoci('insert', '--image', 'layout:image', $i % 3 == 1 ? '--opaque' : (), "insert$i", "/$dir");
        @dirs  = grep { $_ ne $dir && index($_, "$dir/") != 0 && index($dir, "$_/") != 0 } @dirs;
        @files = grep { index($_, "$dir/") != 0 } @files;
    }
}
umoci('unpack', '--image', 'layout:image', 'unpacked');
$root = "$tmp/unpacked/rootfs";
my $unpacked = unpacked_tree($root);
$step->("$inserts layers by umoci insert, and all of it unpacked: " . keys(%$unpacked) . ' paths');

# ---- what the registry shows ----

my $registry = Registry->start(args => [ '--index-wait', '30s' ]);
my $manifest = slurp(blob_path(JSON::PP::decode_json(slurp("$tmp/layout/index.json"))->{manifests}[0]{digest}));
my $parsed   = JSON::PP::decode_json($manifest);
sub blob_path ($digest) { return "$tmp/layout/blobs/sha256/" . $digest =~ s/.*://r }
for my $blob (@{ $parsed->{layers} }, $parsed->{config}) {
    next if $registry->head("/v2/t/image/blobs/$blob->{digest}")->status == 200;
    open my $in, '<:raw', blob_path($blob->{digest}) or die $!;
    my $pushed = $registry->push_blob('t/image', sub { my $piece; return read($in, $piece, 1 << 20) ? $piece : undef },
        way => 'put', digest => $blob->{digest}, length => $blob->{size});
    die $pushed->describe if $pushed->status != 201;
}
is($registry->put_manifest('t/image', 'latest', $manifest, $Registry::Client::TYPE{manifest})->status, 201, 'the image is pushed');
is(scalar @{ $parsed->{layers} }, $layers, "it has $layers layers");

my $base = '/v2/t/image/_image/latest';
is(wait_for(1200, sub { my $s = $registry->get("$base/stat/")->status; return $s != 503 && $s }), 200, 'its files can be seen');
$step->('pushed, and its layers are indexed');
my $listed      = image_tree($registry, $base);
my @differences = tree_differences($listed, $unpacked);
is(scalar @differences, 0, 'the listing of ' . keys(%$unpacked) . ' paths is what umoci has unpacked')
    or diag(join "\n", @differences[ 0 .. ($#differences < 20 ? $#differences : 20) ]);
$step->('listed, and compared');

my @regular = sort grep { $unpacked->{$_}{type} eq 'file' && $_ ne 'opt/data/large' } keys %$unpacked;
my @wrong;
for (1 .. 500) {
    my $path   = one_of(@regular);
    my $answer = $registry->get("$base/blobs/" . encoded_path($path));
    push @wrong, "$path: " . $answer->describe if $answer->status != 200 || $answer->content ne slurp("$root/$path");
}
is(scalar @wrong, 0, '500 files at random are what they are in the unpacked root, byte for byte') or diag(@wrong[ 0 .. 2 ]);
$step->('500 files');

open my $truth, '<:raw', "$root/opt/data/large" or die $!;
@wrong = ();
my $size = -s $truth;
my $slowest = 0;
for (1 .. 200) {
    my $from = int rand $size;
    my $n    = 1 + int rand(rand() < 0.1 ? 3e6 : 1e5);
    my $to   = $from + $n - 1 < $size ? $from + $n - 1 : $size - 1;
    my $at   = time;
    my $answer = $registry->get("$base/blobs/opt/data/large", headers => { Range => "bytes=$from-" . ($from + $n - 1) });
    $slowest = time - $at if time - $at > $slowest;
    seek $truth, $from, 0;
    read $truth, my $bytes, $to - $from + 1;
    push @wrong, "$from-$to: " . $answer->status
        if $answer->status != 206 || $answer->content ne $bytes || ($answer->header('Content-Range') // '') ne "bytes $from-$to/$size";
}
is(scalar @wrong, 0, '200 ranges at random of a file of ' . ($big >> 20) . ' MB are right') or diag("@wrong[0..5]");
$step->(sprintf '200 ranges, the slowest %.0f ms', 1000 * $slowest);

my $sum = Digest::SHA->new(256);
my $all = $registry->get("$base/blobs/opt/data/large", to => sub ($piece) { $sum->add($piece) });
is($all->status, 200, 'and so is all of it');
is('sha256:' . $sum->hexdigest, file_digest("$root/opt/data/large"), 'byte for byte');

# ---- and how large the indexes are ----

for my $blob (grep { $_->{size} > 50e6 } @{ $parsed->{layers} }) {
    my ($index) = grep { /\Q@{[ $blob->{digest} =~ s{.*:}{}r ]}\E/ } $registry->files('index');
    my $percent = 100 * (-s $registry->dir . "/$index") / $blob->{size};
    ok($percent <= 2.5, sprintf 'the index of a layer of %.0f MB has %.2f %% of its size', $blob->{size} / 1e6, $percent);
}

finish();
