package Bench::Work::Lists;
use v5.36;

# Stores of many tags and repositories: pages of their lists, and a start after all was killed.

use Bench;
use Bench::Load;
use Bench::Run;
use Registry::Tools qw(digest json_of spew);

my $INDEX = 'application/vnd.oci.image.index.v1+json';
my @MORE  = qw(--max-tags 0 --max-repositories 0);

sub works ($class) {
    return (
        { name => 'lists',    about => 'pages of 100 in the middle of lists of 1,000 and 100,000 tags (--large: a million), and of repositories', run => \&_lists },
        { name => 'recovery', about => 'start after kill -9 of everything, with 100,000 tags (--large: a million)', run => \&_recovery },
    );
}

sub _index_file () { return spew(tempdir() . '/index', json_of({ schemaVersion => 2, mediaType => $INDEX, manifests => [] })) }

sub _text ($n) { return $n >= 1_000_000 ? $n / 1_000_000 . ' million' : scalar reverse(reverse("$n") =~ s/(\d{3})(?=\d)/$1,/gr) }

# An empty index, which needs no blobs, under so many tags of bench/tags. Ours takes 16 at once, the others each in
# a request of its own.
sub fill_tags ($run, $server, $n) {
    my $file = _index_file();
    my @put  = (-m => 'PUT', -x => 201, -f => $file, -H => "Content-Type: $INDEX");
    $run->progress("$server->{name}: $n tags");
    if (!$server->{own}) {
        load('requests', @put, -c => 8, -n => $n, $server->url('/v2/bench/tags/manifests/t%d'));
        return;
    }
    my $digest = digest(Registry::Tools::slurp($file));
    my $paths  = tempdir() . '/paths';
    open my $out, '>', $paths or die "$paths: $!\n";
    for (my $i = 0; $i < $n; $i += 16) {
        my $last = $i + 15 < $n ? $i + 15 : $n - 1;
        say {$out} "/v2/bench/tags/manifests/$digest?", join '&', map { sprintf 'tag=t%07d', $_ } $i .. $last;
    }
    close $out or die "$paths: $!\n";
    load('requests', @put, -c => 2, -p => $paths, $server->url(''));
    return;
}

sub _fill_repositories ($run, $server, $n) {
    $run->progress("$server->{name}: $n repositories");
    load('requests', -m => 'PUT', -x => 201, -f => _index_file(), -H => "Content-Type: $INDEX", -c => 16, -n => $n,
        $server->url('/v2/bench/r%d/manifests/latest'));
    return;
}

# The time of one page, asked for by one client.
sub _page ($run, $name, $servers, $path) {
    for my $server (@$servers) {
        my $n = () = command('curl', '-q', '--noproxy', '*', '-sSf', $server->url($path)) =~ /"(?:bench\/r|t)\d{7}"/g;
        die "$server->{name}: $path: $n instead of 100\n" if $n != 100;
    }
    $run->row('lists', $name, unit => 'ms', less => 1, servers => $servers, wanted => [ [ 'time', '', 1 ] ], measure => sub ($server) {
        my $seen = $server->watch(sub { load('requests', -c => 1, -s => $run->{seconds}, $server->url($path)) });
        my $r = $seen->{result};
        return { value => $r->{p50}, p50 => $r->{p50}, p99 => $r->{p99}, cpu => $seen->{cpu} / $r->{done} * 1000, memory => $seen->{memory} };
    });
    return;
}

sub _lists ($run) {
    my @sizes = $run->{quick} ? ([ 300, 300 ]) : ([ 1000, 1000 ], $run->{large} ? [ 1_000_000, 100_000 ] : [ 100_000, 20_000 ]);
    for my $i (0 .. $#sizes) {
        my ($tags, $repositories) = @{ $sizes[$i] };
        my @servers = $i == 0 ? $run->registries(more => \@MORE) : $run->servers(['ours'], more => \@MORE);
        for my $server (@servers) {
            $server->start;
            fill_tags($run, $server, $tags);
            _fill_repositories($run, $server, $repositories);
        }
        settle();
        _page($run, _text($tags) . ' tags', \@servers, sprintf('/v2/bench/tags/tags/list?n=100&last=t%07d', $tags / 2));
        _page($run, _text($repositories) . ' repositories', \@servers, sprintf('/v2/_catalog?n=100&last=bench/r%07d', $repositories / 2));
        $run->stop_servers;
    }
    $run->note('lists: the other registries are measured at 1,000 only; they take too long to be filled further.');
    return;
}

sub _recovery ($run) {
    my $n = $run->{quick} ? 300 : $run->{large} ? 1_000_000 : 100_000;
    my @servers = $run->servers(['ours'], more => \@MORE);
    for my $server (@servers) {
        $server->start;
        fill_tags($run, $server, $n);
    }
    $run->row('recovery', _text($n) . ' tags', unit => 's', less => 1, servers => \@servers, wanted => [ [ 'time', '', 2 ] ], measure => sub ($server) {
        fill_tags($run, $server, $run->size(1600, 16));    # so that it was at work
        $server->crash;
        return { value => $server->{started} };
    });
    $run->stop_servers;
    return;
}

1;
