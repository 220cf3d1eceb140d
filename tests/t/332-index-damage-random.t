# Indexes are damaged at two hundred places at random, a bit, a page or the end of the file: each time
# the image's tree and files are what they were.
#
# REGISTRY_SEED repeats a run.
use v5.36;
use Registry limit => 300;
use Registry::ImageTree;
use Registry::Layers;
use Registry::Tools;
use Test::More;
use Time::HiRes qw(time);

my $seed = $ENV{REGISTRY_SEED} // int(time * 1000) % 1_000_000;
srand $seed;
note("REGISTRY_SEED=$seed");
my $registry = Registry->start(args => [ '--browse-workers', '2', '--index-wait', '30s' ]);

# Twenty layers; the lowest has a file long enough for checkpoints.
my $big   = join '', map { random_bytes(1 << 18) . "$_ " x (1 << 17) } 1 .. 25;
my %bytes = (big => $big);
my @layers;
for my $i (0 .. 19) {
    my @entries;
    for my $k (1 .. ($i == 0 ? 3000 : 60)) {
        my $name = sprintf 'd%d/%s-%d', rand 30, unpack('H*', random_bytes(4)), $k;
        $bytes{$name} = "$name in layer $i";
        push @entries, { name => $name, data => $bytes{$name} };
    }
    push @entries, { name => 'big', data => $big } if $i == 0;
    push @layers, gzip_layer(tar_of(@entries));
}
my @names = sort keys %bytes;
push_layers($registry, 'damaged', 'latest', @layers);
my $base = '/v2/damaged/_image/latest';
is(wait_for(60, sub { my $s = $registry->get("$base/stat/")->status; return $s != 503 && $s }), 200, 'the image can be seen');
my $tree  = json_of(image_tree($registry, $base));
my @files = map { $registry->dir . '/index/sha256/' . digest($_->{blob}) =~ s/.*:(..)(.*)/$1\/$1$2/r } @layers;
is(scalar(grep { -f } @files), 20, 'each layer has its index');

# Workers keep indexes open, and parts of them in memory.
sub restart_workers () {
    my @old = $registry->children('worker browse');
    kill 'TERM', @old;
    return wait_for(20, sub { my %is = map { $_ => 1 } $registry->children('worker browse'); return keys %is >= 2 && !grep { $is{$_} } @old });
}

sub damage ($file) {
    my $size = -s $file or return 'is gone';
    my $at   = int rand $size;
    chmod 0640, $file;
    open my $f, '+<:raw', $file or die "$file: $!";
    my $what = (qw(bit bit bit page swap cut))[ rand 6 ];
    my ($page, $n) = ($at & ~4095, $at + 4096 > $size ? $size - $at : 4096);
    seek $f, $what eq 'bit' ? $at : $page, 0;
    read $f, my $old, $what eq 'bit' ? 1 : 4096;
    my $new = $what eq 'bit' ? chr(ord($old) ^ 1 << int rand 8) : $what eq 'page' ? "\0" x length $old : reverse $old;
    seek $f, $what eq 'bit' ? $at : $page, 0;
    if ($what eq 'cut') { truncate $f, $at }
    else                { print {$f} $new }
    close $f or die "$file: $!";
    return "$what at $at of $size";
}

my ($places, @wrong) = (0);
for my $round (1 .. 10) {
    my @what = map { $places++; damage($_) } @files;
    restart_workers() or die 'the workers did not come back';
    my $now = eval { json_of(image_tree($registry, $base)) } // $@;
    push @wrong, "round $round: the tree; " . substr($now, 0, 300) if $now ne $tree;
    for (1 .. 40) {
        my $name   = $names[ rand @names ];
        my $answer = $registry->get("$base/blobs/$name");
        push @wrong, "round $round: $name: " . $answer->status if $answer->status != 200 || $answer->content ne $bytes{$name};
    }
    for (1 .. 20) {
        my $from   = int rand(length($big) - 1000);
        my $answer = $registry->get("$base/blobs/big", headers => { Range => "bytes=$from-" . ($from + 999) });
        push @wrong, "round $round: from $from on: " . $answer->status if $answer->status != 206 || $answer->content ne substr $big, $from, 1000;
    }
    diag("round $round: " . join '; ', @what) if @wrong;
    last if @wrong;
}
is(scalar @wrong, 0, "after damage at $places places everything was as before") or diag(join "\n", @wrong[ 0 .. ($#wrong < 9 ? $#wrong : 9) ]);
my @mended = $registry->logged(qr/index/);
cmp_ok(scalar @mended, '>', 0, 'and the log tells of it') or diag($registry->log);
finish();
