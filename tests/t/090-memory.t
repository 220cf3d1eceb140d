# An idle server needs little memory, and the memory of no process grows with the size of what is pushed or pulled.
use v5.36;
use Registry limit => 120;
use Digest::SHA;
use Registry::Checks;
use Registry::Process;
use Registry::Tools;
use Test::More;

my $SIZE  = 200 << 20;
my $BLOCK = random_bytes(1 << 20);

# A body of $SIZE bytes that never is in memory as a whole, and its digest.
sub large_body ($number) {
    my $block = sub ($i) { return substr(pack('NN', $number, $i) . $BLOCK, 0, 1 << 20) };
    my $sha   = Digest::SHA->new(256);
    $sha->add($block->($_)) for 0 .. ($SIZE >> 20) - 1;
    my $i = 0;
    return (sub { return $i < $SIZE >> 20 ? $block->($i++) : undef }, 'sha256:' . $sha->hexdigest);
}

my $registry = Registry->start;

# Pages of the process in the mappings whose line matches, in KiB.
sub resident_kb ($pid, $pattern) {
    my ($sum, $counts) = (0, 0);
    for (split /^/, slurp("/proc/$pid/smaps")) {
        $counts = $_ =~ $pattern if /^[0-9a-f]+-[0-9a-f]+ /;
        $sum += $1 if $counts && /^Rss:\s+(\d+)/;
    }
    return $sum;
}

subtest 'right after the start' => sub {
    plan skip_all => 'a build with sanitizers keeps memory of its own' if Registry->sanitized;
    $registry->all_nginx_workers;
    my @all = map { [ $_, slurp("/proc/$_/maps") ] } $registry->processes;
    is_deeply([ map { command_of($_->[0]) } grep { $_->[1] =~ /libarchive|libxml2|libstdc/ } @all ], [], 'nobody has loaded libarchive');
    my ($keeper) = $registry->children('keeper');
    cmp_ok(resident_kb($keeper, qr/__db\.001/), '<', 1024, 'KiB of locks and mutexes of the database');
    # A library's page counts less if other programs have it, too; so this is the most that it can be.
    my $sum = 0;
    $sum += slurp("/proc/$_/smaps_rollup") =~ /^Pss:\s+(\d+)/m ? $1 : 0 for $registry->processes;
    my $more = 1500 * (() = $registry->nginx_workers) - 8 * 1500;
    cmp_ok($sum - $more, '<', 33 << 10, 'KiB of all processes');
};

# each worker has had something of each kind to do
for (1 .. 12) {
    my $bytes = random_bytes(2_000_000);
    $registry->push_image('warm/up', 'v1', [$bytes], way => $_ % 2 ? 'patch' : 'put');
    $registry->get('/v2/warm/up/blobs/' . digest($bytes));
}
my @pids   = ($registry->children('worker'), $registry->children('keeper'), $registry->all_nginx_workers);
my %before = map { $_ => memory_peak_kb($_) } @pids;
cmp_ok($_, '>', 0, 'a process has some memory') for values %before;

my @pushed;
for my $way ([ way => 'patch' ], [ way => 'put', length => $SIZE ], [ way => 'post' ]) {
    my ($body, $digest) = large_body(scalar @pushed);
    push @pushed, $digest;
    is_status($registry->with(timeout => 60)->push_blob('team/large', $body, digest => $digest, @$way), 201, "200 MiB: @$way");
}
for my $digest (@pushed[ 0, 1 ]) {
    my $sha      = Digest::SHA->new(256);
    my $response = $registry->get("/v2/team/large/blobs/$digest", to => sub ($piece) { $sha->add($piece) });
    is_status($response, 200, 'a pull');
    is('sha256:' . $sha->hexdigest, $digest, '... of the same bytes');
}

SKIP: {
    skip 'a build with sanitizers keeps memory of its own', 1 if Registry->sanitized;
    for my $pid (@pids) {
        my $grown = memory_peak_kb($pid) - $before{$pid};
        cmp_ok($grown, '<', 8 << 10, (title_of($pid) || command_of($pid)) . ": KiB of growth");
    }
}
is_tidy($registry);

finish();
