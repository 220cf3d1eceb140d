# Looking into images while indexes are missing, late, damaged or cut, and while layers are: the right answer,
# a clear one, or a transfer that breaks; never a wrong byte.
use v5.36;
use Registry limit => 180;
use Registry::Checks;
use Registry::Clients qw(curl);
use Registry::Layers;
use Registry::Process;
use Registry::Tools;
use Test::More;
use Time::HiRes qw(sleep time);

my $registry = Registry->start(args => [ '--browse-workers', '2' ], expected => qr/upstream prematurely closed/);
my $N        = 3000;
my $big      = join '', map { pack 'N', $_ * 2654435761 % 4294967296 } 1 .. 2_000_000;
my @names    = map { sprintf 'many/%05d-%s', $_, random_bytes(8) =~ s/(.)/sprintf '%02x', ord $1/gser } 1 .. $N;
my $layer    = gzip_layer(join('', map { tar_entry(name => $_, data => $_) } @names) . tar_entry(name => 'big', data => $big) . tar_end());
push_layers($registry, 'team/app', 'v1', $layer);
my $base  = '/v2/team/app/_image/v1';
my $index = 'index/sha256/' . digest($layer->{blob}) =~ s/.*:(..)(.*)/$1\/$1$2/r;
my $file  = $registry->dir . "/$index";

my $list = $registry->get("$base/tree/many")->content;
is(() = $list =~ /"path"/g, $N, 'a list');
my $one = $registry->get("$base/blobs/$names[77]");
is($one->content, $names[77], 'a file');

sub all_is_right ($name) {
    my @wrong;
    push @wrong, 'the list'  if $registry->get("$base/tree/many")->content ne $list;
    push @wrong, 'a file'    if $registry->get("$base/blobs/$names[77]")->content ne $names[77];
    push @wrong, 'the range' if $registry->get("$base/blobs/big", headers => { Range => 'bytes=7000000-7000999' })->content ne substr $big, 7_000_000, 1000;
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    return ok(!@wrong, $name) || diag(@wrong);
}

all_is_right('at first');
ok(wait_for(10, sub { -s $file }), 'the index is a file');

subtest 'the files in index/ may go at any time' => sub {
    # The directory itself can be made again in the user's own data directory, and by the next start.
    run([ 'rm', '-rf', $registry->dir . '/index/sha256' ]);
    all_is_right('it is made again, or still open');
    $registry->stop;
    run([ 'rm', '-rf', $registry->dir . '/index' ]);
    $registry = Registry->start(dir => $registry->dir, args => [ '--browse-workers', '2' ], expected => qr/upstream prematurely closed/);
    all_is_right('after a restart');
    ok(-s $file, 'and the file is there');
};

# Workers keep indexes open: what is damaged is seen by those who open them, and by those who read on.
sub restart_workers () {
    my @old = $registry->children('worker browse');
    kill 'TERM', @old;
    wait_for(20, sub { my %is = map { $_ => 1 } $registry->children('worker browse'); keys %is >= 2 && !grep { $is{$_} } @old });
    return;
}

sub change ($path, $at, $bytes) {
    chmod 0640, $path;
    open my $out, '+<:raw', $path or die "$path: $!";
    seek $out, $at, 0;
    print {$out} $bytes;
    close $out;
    return;
}

subtest 'a flipped bit' => sub {
    my $good = slurp($file);
    my $size = length $good;
    for my $part (0, 0.1, 0.3, 0.5, 0.7, 0.9, 0.99) {
        my $at = int $part * ($size - 1);
        restart_workers() if $part > 0.4;
        change($file, $at, chr(ord(substr $good, $at, 1) ^ 16));
        all_is_right("byte $at of $size");
        restart_workers();
        all_is_right('... by other workers');
        next if -e $file && slurp($file) eq $good;
        unlink $file;    # nobody has read there
        all_is_right('... without it');
        ok(slurp($file) eq $good, '... and the file is the same again');
    }
};

subtest 'a cut index' => sub {
    for my $n (0, 1, 100, 5000, (-s $file) - 1) {
        restart_workers();
        truncate $file, $n;
        all_is_right("$n bytes of it");
    }
    spew($file, 'something else');
    restart_workers();
    all_is_right('something else of that name');
    my $other = gzip_layer(tar_of('f x x'));
    push_layers($registry, 'team/app', 'other', $other);
    is($registry->get('/v2/team/app/_image/other/blobs/x')->content, 'x', 'another image');
    my $its = $registry->dir . '/index/sha256/' . digest($other->{blob}) =~ s/.*:(..)(.*)/$1\/$1$2/r;
    spew($file, slurp($its));
    restart_workers();
    all_is_right("another layer's index of that name");
};

subtest 'a layer that was cut' => sub {
    my ($blob) = $registry->blob_files(digest($layer->{blob}));
    my $path = $registry->dir . "/$blob";
    my $good = slurp($path);
    chmod 0640, $path;
    truncate $path, int length($good) * 0.6;
    my $ran = curl('--output', '/dev/null', 'http://127.0.0.1:' . $registry->port . "$base/blobs/big");
    is($ran->{exit}, 18, 'a transfer that breaks is seen to be broken');
    my $got = $registry->get("$base/blobs/big");
    is($got->status, 599, 'by any client') or diag($got->status);
    is($registry->get("$base/blobs/$names[77]")->content, $names[77], 'what is before can be read');
    is($registry->get("$base/tree/many")->content, $list, '... and listed');
    my $late = $registry->get("$base/blobs/big", headers => { Range => 'bytes=7000000-7000009' });
    is_error($late, 422, 'UNSUPPORTED', 'what is behind is an error');
    like($late->message, qr/layer sha256:\w{64}: /, '... that names the layer');
    is($late->header('Content-Range'), undef, '... and is nothing else');
    spew($path, $good);
    all_is_right('when it is mended');
};

subtest 'one who goes away' => sub {
    for (1 .. 6) {
        my $connection = $registry->connect;
        $connection->send($registry->head_of('GET', "$base/blobs/big"));
        ok($connection->answers_within(10), 'it begins');
        $connection->close;
    }
    all_is_right('the workers are free again');
};

subtest 'an index that takes its time' => sub {
    $registry->stop;
    run([ 'rm', '-rf', $registry->dir . '/index' ]);
    $registry = Registry->start(dir => $registry->dir, args => [ '--browse-workers', '2', '--index-wait', '3s', '--watchdog', '60s' ],
        expected => qr/upstream prematurely closed/);
    is($registry->get('/v2/team/app/_image/other/blobs/x')->content, 'x', 'an image that has its index');
    my ($keeper) = $registry->children('keeper');
    stop_at_rest($keeper);
    my $ask = sub ($path) {
        my $begin = time;
        my $got   = $registry->get($path);
        return [ $got->status, $got->header('Retry-After') // '', $got->code // '', time - $begin ];
    };
    my @got = in_parallel(4, 60, sub ($i) {
        return $ask->("$base/tree") if $i < 3;
        sleep 1;    # while one waits
        return $ask->('/v2/team/app/_image/other/blobs/x');
    });
    is(join(' ', map { $_->[0] } @got), '503 503 503 200', 'those whose index is missing hear 503; another is answered meanwhile');
    is(join(' ', map { "$_->[1] $_->[2]" } @got[ 0 .. 2 ]), join(' ', ('1 UNAVAILABLE') x 3), '... and when to ask again');
    is(scalar(grep { $_->[3] > 2.5 } @got[ 0 .. 2 ]), 1, 'one of them has waited');
    kill 'CONT', $keeper;
    ok(wait_for(30, sub { $registry->get("$base/tree")->status == 200 }), 'it comes');
    all_is_right('and all is right');

    restart_workers();
    my $good = slurp($file);
    my $at   = int 0.85 * length $good;
    change($file, $at, chr(ord(substr $good, $at, 1) ^ 1));
    stop_at_rest($keeper);
    my $ran = curl('--output', '/dev/null', '--write-out', '%{http_code} %{size_download}', 'http://127.0.0.1:' . $registry->port . "$base/tree/many");
    kill 'CONT', $keeper;
    is($ran->{exit}, 18, 'a list that can not go on is seen to be broken') or diag($ran->{out});
    like($ran->{out}, qr/^200 [1-9]/, '... though it had begun');
    ok(wait_for(30, sub { $registry->get("$base/tree")->status == 200 }), 'and the next time');
    all_is_right('... all is right');
};
finish();
