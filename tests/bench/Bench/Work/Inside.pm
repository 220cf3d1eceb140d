package Bench::Work::Inside;
use v5.36;

# Looking into an image: its index, and what is read by it; against bsdtar, which lists or reads the layer.

use Bench;
use Bench::Load;
use File::Find ();
use Registry::Tools qw(json_of slurp spew);

my $CONFIG = 'application/vnd.oci.image.config.v1+json';
my $LAYER  = 'application/vnd.oci.image.layer.v1.tar+gzip';

sub works ($class) {
    return { name => 'inside', about => 'index of a layer, against bsdtar -tf; directories, files, differences and searches of an image', run => \&_inside };
}

# The program index_layer beside the one that is measured; built there, if there is a Makefile.
sub _index_layer ($program) {
    my ($build) = $program =~ m{^(.*)/};
    my $built = "$build/tests/bench/index_layer";
    eval { command('make', '-s', '-C', $build, 'tests/bench/index_layer') } if -e "$build/Makefile";
    return -x $built ? $built : undef;
}

# A layer of so many bytes of files of this machine's /usr: its descriptor, and the names of its files.
sub _layer ($size) {
    my $tmp = tempdir();
    my ($bytes, @names, %seen) = (0);
    File::Find::find({
            no_chdir   => 1,
            preprocess => sub { sort @_ },
            wanted     => sub {
                return if $bytes > $size || !m{^[\w./-]+$} || -l || !-f _ || !-r _ || $seen{ join ' ', (stat _)[ 0, 1 ] }++;
                push @names, substr $_, 1;
                $bytes += -s _;
            },
        }, '/usr');
    spew("$tmp/names", join '', map { "$_\0" } @names);
    command('tar', '-C', '/', '--null', '--no-recursion', '-cf', "$tmp/tar", '-T', "$tmp/names");
    command('sh', '-c', 'gzip -6 <"$0/tar" >"$0/layer"', $tmp);
    my $layer = { path => "$tmp/layer", digest => digest_of("$tmp/layer"), size => -s "$tmp/layer", diff_id => digest_of("$tmp/tar") };
    unlink "$tmp/tar";
    return ($layer, @names);
}

# An image of layers, of which the last one isn't there yet.
sub _push ($server, $tag, @layers) {
    push_blob($server, 'bench/inside', $layers[-1]);
    my $config = push_small($server, 'bench/inside', $CONFIG, json_of({ architecture => 'amd64', os => 'linux',
            rootfs => { type => 'layers', diff_ids => [ map { $_->{diff_id} } @layers ] } }));
    put_manifest($server, 'bench/inside', $tag, $config, map { my $layer = $_; +{ mediaType => $LAYER, map { $_ => $layer->{$_} } qw(digest size) } } @layers);
    command('curl', '-q', '--noproxy', '*', '-sSf', '--retry', '600', '--retry-delay', '1', '-o', '/dev/null', $server->url("/v2/bench/inside/_image/$tag/tree/"));
    return;
}

# So many requests, of one client, of these paths in turn.
sub _asked ($server, @paths) {
    my $file = spew(tempdir() . '/paths', join '', map { "/v2/bench/inside/_image/$_\n" } @paths);
    my $seen = $server->watch(sub { load('requests', -c => 1, -p => $file, $server->url('')) });
    my $r = $seen->{result};
    return { value => $r->{p50}, p50 => $r->{p50}, p99 => $r->{p99}, cpu => $seen->{cpu} / $r->{done} * 1000, memory => $seen->{memory} };
}

sub _inside ($run) {
    my ($server) = $run->servers(['ours']) or return;
    my $tmp      = tempdir();
    my $bsdtar   = Bench::Server->new(name => 'bsdtar');
    return $run->note('inside: left out, bsdtar is not installed (Debian package libarchive-tools)') if !has('bsdtar');
    my ($layer, @names) = _layer($run->size(128 << 20, 2 << 20));
    settle();
    my $list = sub ($server) {
        return { value => 1000 * (timed(sub { command('sh', '-c', 'bsdtar -tf "$0/layer" >/dev/null', $tmp) }))[0] };
    };
    if (my $program = _index_layer($server->{program})) {
        $run->row('inside', 'index of a layer', unit => 'ms', less => 1, servers => [ $server, $bsdtar ], wanted => [ [ 'time', 'bsdtar', 0.6 ] ], measure => sub ($which) {
            return $list->($which) if $which == $bsdtar;
            my ($seconds, $text) = timed(sub { command($program, 'scan', "$tmp/layer", "$tmp/scanned") });
            die "another diff id\n" if $text !~ /^diff_id \Q$layer->{diff_id}\E$/m;
            return { value => 1000 * $seconds, memory => $text =~ /^peak_kb (\d+)/m };
        });
    } else { $run->note('inside: the index of a layer was left out: "make bench" builds what it needs') }

    $server->start;
    spew("$tmp/other", 'x' x 100);
    command('tar', '-C', $tmp, '-czf', "$tmp/second", 'other');
    my $second = { path => "$tmp/second", digest => digest_of("$tmp/second"), size => -s "$tmp/second", diff_id => undef };
    $second->{diff_id} = 'sha256:' . (command('sh', '-c', 'gzip -dc <"$0" | sha256sum', "$tmp/second") =~ s/ .*//sr);
    _push($server, 'one', $layer);
    _push($server, 'two', $layer, $second);

    srand 1;
    my $n = $run->size(200, 10);
    my %in;
    $in{ s{/[^/]*$}{}r }++ for @names;
    my @directories = sort { $in{$b} <=> $in{$a} || $a cmp $b } keys %in;
    my @small = grep { -s "/$_" < 65536 } @names;
    my %paths = (
        'tree, a directory' => [ 3,     map { "one/tree/$directories[ $_ % ($#directories < 20 ? @directories : 20) ]" } 1 .. $n ],
        'blobs, a small file' => [ 10,  map { 'one/blobs/' . $small[ rand @small ] } 1 .. $n ],
        'diff'              => [ undef, map { 'two/diff?from=one' } 1 .. $n / 10 ],
        'find'              => [ undef, map { 'one/find?name=' . ($names[ rand @names ] =~ s{.*/}{}r) } 1 .. $n / 10 ],
    );
    my ($sample) = @small;
    spew("$tmp/got", command('curl', '-q', '--noproxy', '*', '-sSf', $server->url("/v2/bench/inside/_image/one/blobs/$sample")));
    die "$sample: other bytes\n" if slurp("$tmp/got") ne slurp("/$sample");
    for my $what ('tree, a directory', 'blobs, a small file', 'diff', 'find') {
        my ($most, @paths) = @{ $paths{$what} };
        $run->row('inside', $what, unit => 'ms', less => 1, servers => [ $server, $bsdtar ], wanted => $most && [ [ 'time', '', $most ] ],
            measure => sub ($which) { $which == $bsdtar ? $list->($which) : _asked($server, @paths) });
    }
    $run->stop_servers;
    return;
}

1;
