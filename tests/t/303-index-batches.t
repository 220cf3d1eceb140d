# Small layers are indexed many in one process; whoever is evil among them is found alone, and nobody waits for the others.
use v5.36;
use Registry limit => 400;
use Registry::Checks;
use Registry::Layers;
use Registry::Process;
use Registry::Tools;
use Registry::V1 ();
use IO::Compress::Bzip2 qw(bzip2 $Bzip2Error);
use Test::More;
use Time::HiRes qw(sleep time);

# Some kilobytes that take seconds: zeros, in members of a hundred megabytes; with a tar's beginning in front, a file.
my $ZEROS = "\0" x 100_000_000;
bzip2(\$ZEROS, \my $MEMBER, BlockSize100K => 9) or die $Bzip2Error;
undef $ZEROS;
sub bomb ($name, $n) {
    my $tar = substr tar_of("f $name x"), 0, 512;
    bzip2(\$tar, \my $head) or die $Bzip2Error;
    return raw_layer($head . $MEMBER x $n);
}
sub small ($name) { return gzip_layer(tar_of("f $name text of $name")) }

my @UNBOUND = ('--index-max-ratio', 1_000_000_000, '--index-max-output', 0);

sub hex_of ($layer) { return digest($layer->{blob}) =~ s/^sha256://r }
sub has_index ($registry, $layer) {
    my $hex = hex_of($layer);
    return -f $registry->dir . '/index/sha256/' . substr($hex, 0, 2) . "/$hex";
}
# Hundredths of a second that it has used.
sub ticks ($pid) { my @f = split ' ', slurp("/proc/$pid/stat") =~ s/^.*\) //r; return $f[11] + $f[12] }
sub at_work ($registry, $layer) { return ($registry->children('index ' . substr hex_of($layer), 0, 12))[0] }
# Pushes while nothing is indexed.
sub push_at_once ($registry, $push) {
    my ($keeper) = $registry->children('keeper');
    stop_at_rest($keeper);
    $push->();
    kill 'CONT', $keeper;
    return;
}
# Each layer in an image of its own.
sub look_into ($registry, $layer) {
    state $n = 0;
    my $tag = 'look' . ++$n;
    push_layers($registry, 'look', $tag, $layer);
    my $answer;
    wait_for(100, sub { $answer = $registry->get("/v2/look/_image/$tag/tree/"); $answer->status != 503 });
    return $answer->status . ' ' . $answer->content;
}

subtest 'many small images' => sub {
    my $registry = Registry->start(args => [ '--index-jobs', 1 ]);
    my @layers   = map { small("f$_") } 1 .. 40;
    push_at_once($registry, sub { push_layers($registry, "r$_", 'v1', @layers[ 2 * $_ - 2, 2 * $_ - 1 ]) for 1 .. 20 });
    ok(wait_for(60, sub { $registry->files('index') == @layers }), 'are all indexed');
    ok(wait_for(20, sub { 20 == (() = $registry->output =~ / - indexed layer data$/mg) }), '... and each is told of');
    like(look_into($registry, $_), qr/^200 .*"sha256:${\ hex_of($_)}"/s, 'each index is the right one') for @layers[ 0, 17, 39 ];
};

subtest 'one of them crashes the process' => sub {
    my $registry = Registry->start(args => [ '--index-jobs', 1, @UNBOUND ]);
    my @before   = map { small("b$_") } 1 .. 5;
    my @behind   = map { small("a$_") } 1 .. 5;
    my $evil     = bomb('evil', 200);
    push_at_once($registry, sub { push_layers($registry, 'a/b', 'v1', @before, $evil, @behind) });
    my $child;
    ok(wait_for(60, sub { $child = at_work($registry, $evil) }), 'it is its turn') or return;
    kill 'SEGV', $child;
    my $again;
    ok(wait_for(20, sub { $again = at_work($registry, $evil); $again && $again != $child }), 'it is tried again, alone') or return;
    ok(has_index($registry, $_), '... a layer before it has its index') for @before;
    kill 'SEGV', $again;
    ok(wait_for(60, sub { $registry->files('index') == 11 }), 'when that crashes, too, all the others get theirs');
    like(look_into($registry, $evil), qr/^422 .*signal 11/s, '... and this one is blamed');
    like(look_into($registry, $_),    qr/^200 /,             '... no other') for @before, @behind;
    is(scalar(() = $registry->log =~ /can't be looked into/g), 1, '... as the log says');
};

subtest 'one of them takes too long' => sub {
    my $registry = Registry->start(args => [ '--index-jobs', 1, '--index-time', '1s', @UNBOUND ]);
    my @others   = map { small("o$_") } 1 .. 6;
    my $evil     = bomb('evil', 500);
    push_at_once($registry, sub { push_layers($registry, 'a/b', 'v1', @others[ 0 .. 2 ], $evil, @others[ 3 .. 5 ]) });
    ok(wait_for(60, sub { $registry->files('index') == 7 }), 'all are done');
    like(look_into($registry, $evil), qr/^422 .*more than 1 s of the processor/s, '... it is blamed');
    like(look_into($registry, $_),    qr/^200 /,                                  '... no other') for @others;
};

subtest 'one of them makes others wait' => sub {
    my $registry = Registry->start(args => [ '--index-jobs', 2, @UNBOUND ]);
    my $evil     = bomb('evil', 500);
    my @others   = map { small("o$_") } 1 .. 6;
    push_at_once($registry, sub { push_layers($registry, 'a/b', 'v1', $evil, @others) });
    ok(wait_for(20, sub { 6 == grep { has_index($registry, $_) } @others }), 'they go to another process');
    ok(!has_index($registry, $evil), '... before it is done');
    my ($keeper) = $registry->children('keeper');
    my $before = ticks($keeper);
    sleep 2;
    cmp_ok(ticks($keeper) - $before, '<', 50, '... and the keeper has nothing to do meanwhile');
};

subtest 'a request' => sub {
    my $registry = Registry->start(args => [ '--index-jobs', 1, '--watchdog', '100s', @UNBOUND ]);
    my @evil     = map { bomb("evil$_", 1) } 1 .. 8;
    my $small    = small('asked');
    push_at_once($registry, sub {
        push_layers($registry, 'evil',  'v1', @evil, map { small("s$_") } 1 .. 30);
        push_layers($registry, 'other', 'v1', small("o$_")) for 1 .. 30;
        push_layers($registry, 'asked', 'v1', $small);
    });
    ok(wait_for(60, sub { $registry->children('index') }), 'comes while small layers are indexed');
    my $answer;
    wait_for(60, sub { $answer = $registry->get('/v2/asked/_image/v1/blobs/asked'); $answer->status != 503 });
    is($answer->content, 'text of asked', '... and is answered');
    cmp_ok(scalar(grep { has_index($registry, $_) } @evil), '<=', 2, '... after one or two of them');
    ok(wait_for(100, sub { $registry->files('index') == 8 + 30 + 30 + 1 }), 'all are indexed in the end');
};

finish();
