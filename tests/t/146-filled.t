# A small file system is filled by pushes alone, again and again: who finds no room is told so in OCI form, nothing half is
# there, reads go on, and what is deleted makes room again without a restart. By hand, with more rounds or a file in a loop:
#
#   FILL_ROUNDS=20 FILL_KIND=ext4 make -C build one T=146-filled
use v5.36;
use Registry limit => 60 + 40 * ($ENV{FILL_ROUNDS} // 2);
use Registry::Checks;
use Registry::Tools;
use Test::More;

use constant MiB => 1 << 20;

my $rounds = $ENV{FILL_ROUNDS} // 2;
my $kind   = $ENV{FILL_KIND}   // 'tmpfs';
my $tmp    = tempdir();
my $disk   = "$tmp/disk";
my $mounted;
END { run([ 'umount', $disk ]) if $mounted && $$ == $mounted }
mkdir $disk or die "$disk: $!";
skip_or_fail('mounting takes root') if !is_root();

sub mount_disk () {
    return run([ 'mount', '-t', 'tmpfs', '-o', 'size=200m,mode=755', 'registry-test', $disk ])->{exit} == 0 if $kind eq 'tmpfs';
    truncate_file("$tmp/image", 200 * MiB);
    return run([ "mkfs.$kind", '-q', "$tmp/image" ])->{exit} == 0 && run([ 'mount', '-o', 'loop', "$tmp/image", $disk ])->{exit} == 0;
}

sub truncate_file ($path, $n) { spew($path, ''); truncate $path, $n or die "$path: $!"; return }

$mounted = $$ if mount_disk();
skip_or_fail('no file system can be mounted here') if !$mounted;

sub free_bytes () { return (split ' ', (split /\n/, run([ 'df', '-B1', $disk ])->{out})[1])[3] }

my $FULL     = qr/No space left|disk is full|no room on the disk|disk has room again|checkpoint failed/;
my $registry = Registry->start(dir => "$disk/data", expected => $FULL,
    args => [ '--lease', '5s', '--gc-interval', '1s', '--history-keep', '0', '--event-keep', '10s', '--upload-expiry', '10s' ]);
my $pid  = $registry->pid;
my $kept = random_bytes(100_000);
is_status($registry->push_image('kept/a', 'v1', [$kept]), 201, 'an image that stays');
ok(wait_for(10, sub { -e "$disk/data/db/reserve" }), 'the server puts something by');
my $first = free_bytes();

# Pushes until there is no room: { there => [ [ tag, digest, layers' digests ] ], refused => tag, wrong }.
sub push_until_refused ($round, $i) {
    my %told = (there => [], wrong => '');
    for my $n (0 .. 400) {
        my @layers = map { random_bytes(1000 + int rand 2 * MiB) } 0 .. $n % 2;
        my $tag    = "r$round-$n";
        my $pushed = $registry->push_image("fill/c$i", $tag, \@layers, way => (qw(patch put post))[ $n % 3 ]);
        if ($pushed->status == 201) {
            push @{ $told{there} }, [ $tag, $pushed->header('Docker-Content-Digest'), map { digest($_) } @layers ];
            next;
        }
        $told{refused} = $tag;
        $told{wrong}   = $pushed->describe
            if $pushed->status != 503 || ($pushed->header('Retry-After') // '') !~ /^\d+$/ || ($pushed->code ne 'UNAVAILABLE' && $pushed->content ne '');
        last;
    }
    return \%told;
}

sub is_there ($repository, @images) {
    my @lost;
    for my $image (@images) {
        my ($tag, $digest, @layers) = @$image;
        push @lost, "$repository:$tag" if digest($registry->get("/v2/$repository/manifests/$tag")->content) ne $digest;
        push @lost, "$repository\@$_" for grep { digest($registry->get("/v2/$repository/blobs/$_")->content) ne $_ } @layers;
    }
    return @lost;
}

# Leaves so many bytes free.
sub leave ($n) {
    my $take = free_bytes() - $n;
    return if $take <= 0;
    open my $out, '>', "$disk/beside" or die "beside: $!";
    while ($take > 0) { $take -= syswrite($out, "\0" x ($take > MiB ? MiB : $take)) || last }
    return;
}

sub command_works ($name, @words) { return works(Registry->try([ @words, '--dir', $registry->dir ], timeout => 60), $name) }

for my $round (1 .. $rounds) {
    subtest "round $round" => sub {
        my @told = in_parallel(4, 60, sub ($i) { push_until_refused($round, $i) });
        is(scalar(grep { defined && defined $_->{refused} } @told), 4, 'four clients push until each is refused');
        my $sum = 0;
        $sum += @{ $_->{there} } for @told;
        cmp_ok($sum, '>', 20, "... after $sum images");
        is(join('', map { $_->{wrong} } @told), '', '... in OCI form, with a Retry-After');
        is_status($registry->get("/v2/fill/c$_/manifests/$told[$_]{refused}"), 404, '... nothing half is there') for 0 .. 3;
        is_deeply([ map { is_there("fill/c$_", @{ $told[$_]{there} }[ 0, -1 ]) } 0 .. 3 ], [], 'what was acknowledged can be read');
        is_blob($registry, 'kept/a', $kept, '... and so can the image that stays');
        my ($more, $left) = (undef, 100);
        do { $more = $registry->push_blob('kept/a', random_bytes(MiB)) } until $more->status != 201 || !$left--;
        is_error($more, 503, 'UNAVAILABLE', 'one more client is refused as well');
        ok(wait_for(10, sub { !$registry->files('uploads/body') }), 'no bodies are left');

        if ($round % 2) {
            # Less than the 25 MiB that must stay free, and more than the half of it that the server puts by.
            leave(18 * MiB);
            my @all     = map { my $i = $_; map { "/v2/fill/c$i/manifests/$_->[1]" } @{ $told[$i]{there} } } 0 .. 3;
            my @refused = grep { $_ != 202 } map { $registry->delete($_)->status } @all;
            is("@refused", '', 'all of them are deleted');
            unlink "$disk/beside";
        } else {
            command_works("fill/c$_ is deleted", 'repo', 'rm', "fill/c$_", '--now') for 0 .. 3;
        }
        command_works('garbage is collected', 'gc');
        ok(wait_for(20, sub { $registry->get('/healthz')->status == 200 }), 'there is room again');
        ok(wait_for(30, sub { free_bytes() > $first - 40 * MiB }), '... as much as at first, but for logs of the database') or diag($first - free_bytes());
        is_status($registry->push_image('kept/a', "v$round", [ random_bytes(100_000) ]), 201, '... and pushes succeed');
        ok($registry->running && $registry->pid == $pid, '... without a restart');
    };
}

is_blob($registry, 'kept/a', $kept, 'the image that stays is there');
is_sound($registry);
$registry->stop;
finish();
