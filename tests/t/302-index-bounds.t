# What strangers push costs bounded time, memory and disk, at the lowest priority; what goes beyond is served, and can't be
# looked into.
use v5.36;
use Registry limit => 300;
use Registry::Checks;
use Registry::Process;
use Registry::Tools;
use Registry::V1;
use IO::Compress::Gzip qw(gzip $GzipError);
use IO::Compress::Bzip2 qw(bzip2 $Bzip2Error);
use Test::More;
use Time::HiRes qw(sleep time);

sub gzipped ($bytes) {
    gzip(\$bytes, \my $layer, -Level => 1, -Minimal => 1) or die $GzipError;
    return $layer;
}
sub tar (@files) { return Registry::V1::tar_of(@files) }

# So many times ten million zeros, in members of a gzip; with a header in front, a file.
my $ZEROS = "\0" x 10_000_000;
my $MEMBER = gzipped($ZEROS);
sub zeros ($n, $name = undef) {
    return $MEMBER x $n if !defined $name;
    my $head = substr(tar([ $name, '' ]), 0, 512);
    my $size = 512 * int(($n * length $ZEROS) / 512) - 2048;
    substr $head, 124, 12, $size < 8**11 ? sprintf("%011o\0", $size) : "\x80" . pack('x3 Q>', $size);
    substr $head, 148, 8, '        ';
    substr $head, 148, 8, sprintf "%06o\0 ", unpack '%32C*', $head;
    return gzipped($head) . $MEMBER x $n;
}
my $number = 0;
# The answer about what is in an image of that layer: its status and reason.
sub look_into ($registry, $layer) {
    my $tag = 'n' . ++$number;
    my $pushed = $registry->push_image('a/b', $tag, [$layer]);
    return $pushed->describe if $pushed->status != 201;
    my $answer;
    wait_for(120, sub { $answer = $registry->get("/v2/a/b/_image/$tag/tree/"); $answer->status != 503 });
    return $answer->status . ' ' . $answer->content;
}

subtest 'the options' => sub {
    my $registry = Registry->start(args => [
        '--index-max-entries', 100, '--index-max-depth', 10, '--index-max-output', '30M', '--index-max-ratio', 500,
    ]);
    my @names = map { [ "file$_", '' ] } 1 .. 120;
    like(look_into($registry, gzipped(tar(@names[ 0 .. 89 ]))), qr/^200 /, '90 names');
    like(look_into($registry, gzipped(tar(@names))), qr/^422 .*100/s, 'not 120');
    like(look_into($registry, gzipped(tar([ 'd/' x 9 . 'f', '' ]))), qr/^200 /, 'nine directories in each other');
    like(look_into($registry, gzipped(tar([ 'd/' x 11 . 'f', '' ]))), qr/^422 .*10/s, 'not eleven');
    like(look_into($registry, zeros(2, 'f')), qr/^200 /, '20 MB');
    like(look_into($registry, zeros(4, 'f')), qr/^422 /, 'not 40');
    is_blob($registry, 'a/b', zeros(4, 'f'), '... which are served all the same');
};

subtest 'ten gigabytes of zeros' => sub {
    my $registry = Registry->start(args => [ '--index-jobs', 1 ]);
    my $bomb  = zeros(1000);
    my $began = time;
    my ($peak, $answer) = (0, undef);
    is_status($registry->push_image('a/b', 'bomb', [$bomb]), 201, 'are pushed as ' . int(length($bomb) / 1e6) . ' MB');
    ok(wait_for(100, sub {
        my ($child) = $registry->children('index');
        my $now = $child ? memory_peak_kb($child) : 0;
        $peak = $now if $now > $peak;
        $answer = $registry->get('/v2/a/b/_image/bomb/tree/') if !$child;
        return $answer && $answer->status != 503;
    }), 'an answer comes');
    is($answer->status, 422, '... that it can not be looked into');
    SKIP: {
        skip 'a build with sanitizers takes memory of its own', 1 if Registry->sanitized;
        cmp_ok($peak, '<', 64 << 10, '... at the cost of little memory');
    }
    note sprintf '%.1f s, %d KiB', time - $began, $peak;
    is_status($registry->head('/v2/a/b/blobs/' . digest($bomb)), 200, 'it is served');
};

subtest 'time' => sub {
    my $registry = Registry->start(args => [ '--index-time', '1s', '--index-max-ratio', 1_000_000, '--index-max-output', 0 ]);
    like(look_into($registry, zeros(3000, 'f')), qr/^422 .*more than 1 s of the processor/s, 'has an end');
};

subtest 'the time of a small layer' => sub {
    my $registry = Registry->start(args => [ '--index-max-ratio', 1_000_000_000, '--index-max-output', 0 ]);
    my ($name, $zeros) = (substr(tar([ 'f', '' ]), 0, 512), "\0" x 100_000_000);
    bzip2(\$name,  \my $head) or die $Bzip2Error;
    bzip2(\$zeros, \my $member, BlockSize100K => 9) or die $Bzip2Error;
    my $layer = $head . $member x 500;    # 50 GB
    cmp_ok(length $layer, '<', 100_000, 'a layer of some kilobytes');
    like(look_into($registry, $layer), qr/^422 .*more than 10 s of the processor/s, 'has a time in proportion to its size');
};

subtest 'memory' => sub {
    plan skip_all => 'a build with sanitizers has no such limit' if Registry->sanitized;
    my $registry = Registry->start(args => [ '--index-memory', '128M' ]);
    my $many = join '', map { substr tar([ sprintf('%s/%s%07d', 'd' x 40, 'n' x 50, $_), '' ]), 0, 512 } 1 .. 400_000;
    like(look_into($registry, gzipped($many . "\0" x 1024)), qr/^422 .*(?:128 MiB|memory)/s, 'has an end');
    like(look_into($registry, gzipped(tar([ 'file', 'text' ]))), qr/^200 /, 'and the next one is none the worse');
};

subtest 'as many at once as there may be' => sub {
    my $registry = Registry->start(args => [ '--index-jobs', 2, '--index-max-ratio', 1_000_000, '--index-max-output', 0 ]);
    my @layers = map { zeros(200, "f$_") } 1 .. 12; # so many, and so large, that two are seen on a busy machine, too
    my ($most, %nice, %before) = (0);
    my ($config) = $registry->image_of(\@layers);
    my $id12 = substr digest($config), 7, 12;
    is_status($registry->push_image('a/b', 'v1', \@layers), 201, 'twelve layers');
    ok(wait_for(100, sub {
        my @now = $registry->children('index');
        # A look takes time, in which one can end and the next one start: two looks that follow each other saw the same.
        my $both = grep { $before{$_} } @now;
        $most   = $both if $both > $most;
        %before = map { ($_ => 1) } @now;
        for my $pid (@now) {
            my @stat = split ' ', (slurp("/proc/$pid/stat") // '') =~ s/^.*\) //r;
            $nice{ $stat[16] }++ if @stat > 16;
        }
        return $registry->output =~ /^\Q$id12\E - indexed/m;
    }), 'are done');
    is($most, 2, '... two at once');
    is_deeply([ keys %nice ], [19], '... at the lowest priority');
};

subtest 'who waits' => sub {
    my $registry = Registry->start(args => [ '--index-jobs', 1 ]);
    my @layers = map { zeros(60, "f$_") } 1 .. 6;
    is_status($registry->push_image('a/b', 'large', \@layers), 201, 'six large layers');
    my $small = gzipped(tar([ 'file', 'text' ]));
    is_status($registry->push_image('a/b', 'small', [$small]), 201, 'and then a small one');
    my $answer;
    wait_for(60, sub { $answer = $registry->get('/v2/a/b/_image/small/blobs/file'); $answer->status != 503 });
    is($answer->content, 'text', 'who asks for what is in the small one gets it');
    my ($config) = $registry->image_of(\@layers);
    my $id12 = substr digest($config), 7, 12;
    unlike($registry->output, qr/^\Q$id12\E - indexed/m, '... before the large ones are done');
    ok(wait_for(100, sub { $registry->output =~ /^\Q$id12\E - indexed/m }), '... which are done as well');
};

subtest 'the disk' => sub {
    my $registry = Registry->start;
    my $noise = join '', map { [ "noise$_" => random_bytes(1 << 20) ]->[1] } 1 .. 60;
    my $layer = gzipped(tar([ 'noise', $noise ]));
    like(look_into($registry, $layer), qr/^200 /, 'a layer of 60 MB');
    my ($file) = grep { /\Q${\ (digest($layer) =~ s{^sha256:}{}r)}\E/ } $registry->files('index');
    cmp_ok(-s $registry->dir . "/$file", '<', 0.025 * length $layer, 'has an index of at most 2.5 % of its size');
};

finish();
