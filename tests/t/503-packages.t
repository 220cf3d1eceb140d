# The packages of an image, read out of its own files; their difference; and the difference of files in pages.
use v5.36;
use Registry limit => 120;
use JSON::PP ();
use Registry::Checks;
use Registry::Layers;
use Registry::Tools;
use Test::More;

my $registry = Registry->start;

sub packages ($tag, $query = '') { return $registry->get("/v2/team/app/_image/$tag/packages$query") }
sub list ($tag) { return [ map { "$_->{type} $_->{name} $_->{architecture} $_->{version} $_->{source}" } @{ packages($tag)->json->{packages} } ] }

sub stanza (%f) { return join('', map { "$_: $f{$_}\n" } sort keys %f) . "\n" }
sub dpkg ($name, $version, %f) { return stanza(Package => $name, Version => $version, Architecture => 'amd64', Status => 'install ok installed', %f) }
sub image ($tag, @entries) { return push_layers($registry, 'team/app', $tag, gzip_layer(tar_of(@entries))) }
sub file ($name, $data) { return { name => $name, data => $data } }

subtest 'dpkg' => sub {
    image('deb1', file('var/lib/dpkg/status', dpkg('zlib1g', '1:1.2', Source => 'zlib (1:1.2-0)', Description => "a\n Package: no\n b") . dpkg('bash', '5.1')
                . dpkg('old', '1', Status => 'deinstall ok config-files') . dpkg('libc6', '2.36', Architecture => 'i386') . dpkg('libc6', '2.36')));
    is_status(packages('deb1'), 200, 'packages', 'Content-Type' => 'application/json');
    is_deeply(list('deb1'), [ 'deb bash amd64 5.1 ', 'deb libc6 amd64 2.36 ', 'deb libc6 i386 2.36 ', 'deb zlib1g amd64 1:1.2 zlib' ], 'those that are installed, sorted');
    image('deb2', file('var/lib/dpkg/status', dpkg('zlib1g', '1:1.3') . dpkg('bash', '5.1') . dpkg('libc6', '2.36') . dpkg('new', '1')));
    my $diff = packages('deb2', '?from=deb1')->json;
    is_deeply([ map { join ' ', $_->{op}, $_->{name}, $_->{architecture}, $_->{from} // '-', $_->{version} // '-' } @{ $diff->{changes} } ],
        [ 'remove libc6 i386 2.36 -', 'add new amd64 - 1', 'change zlib1g amd64 1:1.2 1:1.3' ], 'the difference');
    is_deeply(packages('deb2', '?from=deb2')->json->{changes}, [], 'none from itself');
    is_error(packages('deb2', '?from=no'), 404, 'MANIFEST_UNKNOWN', 'from a tag that is not there');
    is_status($registry->head('/v2/team/app/_image/deb1/packages'), 200, 'HEAD');
};

subtest 'others' => sub {
    image('distroless', file('var/lib/dpkg/status.d/base', stanza(Package => 'base-files', Version => '12', Architecture => 'amd64')),
        file('var/lib/dpkg/status.d/base.md5sums', "Package: no\n"), file('var/lib/dpkg/status.d/tz', stanza(Package => 'tzdata', Version => '1', Architecture => 'all')));
    is_deeply(list('distroless'), [ 'deb base-files amd64 12 ', 'deb tzdata all 1 ' ], 'a file for each package');
    image('apk', file('lib/apk/db/installed', "C:Q1x\nP:musl\nV:1.2-r0\nA:x86_64\no:musl\nF:lib\nR:ld-musl\n\nP:busybox\nV:1.36\nA:x86_64\nv:no\n"));
    is_deeply(list('apk'), [ 'apk busybox x86_64 1.36 ', 'apk musl x86_64 1.2-r0 musl' ], 'apk');
    image('none', 'f x y');
    is_deeply(packages('none')->json, { packages => [], truncated => JSON::PP::false }, 'an image without packages');
    image('odd', 'd var/', 'd var/lib/', 'd var/lib/dpkg/', 'd var/lib/dpkg/status/', 'l lib apk', 'l apk lib');
    is_deeply(list('odd'), [], 'a directory, and links in a circle');
    image('bad', file('var/lib/dpkg/status', "Package: <script>\xff\nVersion: " . 'v' x 5000 . "\nArchitecture: a\n"));
    my ($is) = @{ packages('bad')->json->{packages} };
    is_deeply([ $is->{name}, length $is->{version} ], [ '<script>?', 200 ], 'any bytes are a text');
    image('many', file('var/lib/dpkg/status', join '', map { dpkg("p$_", '1') } 1 .. 10_001));
    my $many = packages('many')->json;
    is_deeply([ scalar @{ $many->{packages} }, $many->{truncated} ], [ 10_000, JSON::PP::true ], 'at most 10,000');
    my $odd = "\x01" x 200;
    image($_, file('var/lib/dpkg/status', join '', map { dpkg("$_$odd", $odd, Source => $odd, Architecture => $odd) } 1 .. 9999)) for 'large1', 'large2';
    my $large = packages('large2')->json;
    ok($large->{truncated} && @{ $large->{packages} } > 5000 && @{ $large->{packages} } < 6000, 'at most 4 MiB of texts') or diag(scalar @{ $large->{packages} });
    is_status(packages('large2', '?from=large1'), 200, '... of each of two images');
    image('files', map { file(sprintf('var/lib/dpkg/status.d/f%04d', $_), "Package: p$_\n") } 1 .. 2001);
    my $files;    # a busy machine may reach the limit of time first
    for (1 .. 3) { $files = packages('files')->json; last if @{ $files->{packages} } >= 2000 }
    is_deeply([ scalar @{ $files->{packages} }, $files->{truncated} ], [ 2000, JSON::PP::true ], 'at most 2000 files');
    image('long', file('var/lib/dpkg/status', 'Package: a' . "\n x" x (11 << 20)));
    is_deeply(packages('long')->json, { packages => [], truncated => JSON::PP::true }, 'at most 32 MiB');
    image('both', file('var/lib/dpkg/status', dpkg('a', '1')), file('usr/lib/apk/db/installed', "P:a\nV:2\n"));
    is_deeply(list('both'), [ 'deb a amd64 1 ', 'apk a  2 ' ], 'two package managers');
    is_error(packages('gone'), 404, 'MANIFEST_UNKNOWN', 'no such image');
};

# A decoder of xz can begin nowhere but in front of the 64 MiB, for each file again.
subtest 'files that cost much' => sub {
    my $tar = tar_of({ name => 'zeros', data => "\0" x (64 << 20) }, map { file("var/lib/dpkg/status.d/f$_", "Package: p$_\n") } 1000 .. 2999);
    push_layers($registry, 'team/app', 'slow', { %{ raw_layer(packed_by($tar, 'xz', '-1', '-T1', '-c'), $tar) }, type => 'layer' });
    is_status($registry->get('/v2/team/app/_image/slow/tree'), 200, 'an image is indexed');
    my $began = time;
    my $slow  = packages('slow');
    is_status($slow, 200, 'its packages');
    ok($slow->json->{truncated} && @{ $slow->json->{packages} } > 0, '... are not all read');
    cmp_ok(time - $began, '<', 20, '... because that would take too long') or diag(scalar @{ $slow->json->{packages} });
};

subtest 'differences of files in pages' => sub {
    image('a', map { "f d/$_ x" } 1 .. 20);
    image('b', 'd d0/', 'd e/', 'f e/x 1', 'f e-f 1', 'f e.g 1', map { "f d/$_ y$_" } 5 .. 25);
    my $at  = '/v2/team/app/_image/b/diff?from=a';
    my $all = $registry->get($at)->content;
    for my $n (1, 3, 29, 30, 31, 1000) {
        my ($got, $last) = ('', '');
        for (1 .. 40) {
            my @lines = map { "$_\n" } split /\n/, $registry->get("$at&n=$n&last=$last")->content;
            my $end   = @lines && $lines[-1] =~ /"op":"more"/ ? JSON::PP::decode_json(pop @lines) : undef;
            fail("a page of @{[ scalar @lines ]} lines") if @lines > $n;
            $got .= join '', @lines;
            last if !$end;
            $last = $end->{path};
        }
        is($got, $all, "in pages of $n");
    }
    is_error($registry->get("$at&n=$_"), 400, 'UNSUPPORTED', "n=$_") for 0, 'x';
    is_status($registry->get("$at&last=" . 'z' x 9000), 200, 'behind any path');
};
finish();
