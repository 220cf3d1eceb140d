# Images of strangers: whatever is in names, labels, histories and annotations is shown as text by the web page, and changes
# neither the page nor the texts around it.
use v5.36;
use utf8;
use Registry limit => 120;
use Encode qw(encode_utf8);
use JSON::PP ();
use Registry::Browser;
use Registry::Checks;
use Registry::Layers;
use Registry::Tools;
use Test::More;

BEGIN { need('chromium', 'chromedriver') }
binmode Test::More->builder->$_, ':utf8' for qw(output failure_output);

my $registry = Registry->start;
my $browser  = Registry::Browser->start;
my $page     = 'http://127.0.0.1:' . $registry->port . '/ui';

my @evil = (
    '<script>window.pwned=1</script>', '"><img src=x onerror=window.pwned=1>', q('onmouseover='window.pwned=1), 'javascript:window.pwned=1',
    "photo\x{202e}gpj.exe", "\x{2066}a\x{2069}\x{200b}b\x{feff}", "bell\x07esc\e[31m", '&lt;b&gt;&amp;', '%3Cb%3E', '{{7*7}}${7*7}', "tab\there", "line\nend", ' ', '..a', 'c:\\d?e#f',
);
my $long = 'L' x 200 . '<b>';
my %tree = map { ("d/$_" => 1) } @evil;
my @entries = map { { name => encode_utf8("d/$_"), data => "content of it: <script>window.pwned=1</script>\n\x{202e}", format => 'pax', pax => { path => encode_utf8("d/$_") } } } @evil;
for (@entries) { $_->{data} = encode_utf8($_->{data}) }
# A path of nearly 4,000 bytes, a name that is no UTF-8, and a link of either kind.
my $deep = 'deep/' . join '/', ($long) x 18;
push @entries, { name => $deep, data => 'deep', format => 'pax', pax => { path => $deep } };
push @entries, { name => "d/raw\xff\xfe<b>", data => 'no UTF-8', format => 'gnu' };
push @entries, { name => 'd/link', type => '2', link => '/d/<script>window.pwned=1<', format => 'gnu' };
my $layer = gzip_layer(tar_of('d d/', @entries));

my %notes  = map { ("key $_" => $_) } @evil, "\x{e0041}tag";
my $config = encode_utf8(json_of({
    architecture => '<b>arm</b>', os => 'linux"><script>', author => $evil[0],
    config  => { Labels => { %notes, long => 'x' x 4000 . '<b>' }, Env => [ map { "E=$_" } @evil ], Cmd => [@evil], Entrypoint => [ $evil[1] ], User => $evil[4], WorkingDir => $evil[2] },
    rootfs  => { type => 'layers', diff_ids => [ $layer->{diff_id} ] },
    history => [ { created => 'not a <b>time', created_by => "RUN $evil[0] $evil[4]" . ' y' x 1500 } ],
}));
my $manifest = encode_utf8(json_of({
    schemaVersion => 2, mediaType => $Registry::Client::TYPE{manifest}, annotations => { %notes },
    config => $registry->descriptor('config', $config), layers => [ $registry->descriptor('layer_gzip', $layer->{blob}) ],
}));
$registry->push_blob('team/evil', $_) for $config, $layer->{blob};
is_status($registry->put_manifest('team/evil', 'v1', $manifest), 201, 'an image full of them');
my $signature = encode_utf8(json_of({ '<script>window.pwned=1</script>' => $evil[4] }));
$registry->push_blob('team/evil', $signature);
my $artifact = encode_utf8(json_of({
    schemaVersion => 2, mediaType => $Registry::Client::TYPE{manifest}, artifactType => 'application/vnd.example+json', annotations => { 'org.opencontainers.image.title' => $evil[1], %notes },
    config => { mediaType => 'application/vnd.oci.empty.v1+json', digest => digest('{}'), size => 2 },
    layers => [ { mediaType => 'text/html', digest => digest($signature), size => length $signature, annotations => { 'org.opencontainers.image.title' => $evil[0] } } ],
    subject => $registry->descriptor('manifest', $manifest),
}));
$registry->push_blob('team/evil', '{}');
is_status($registry->put_manifest('team/evil', 'artifact', $artifact), 201, 'an artifact about it');

# Nothing of it has become part of the page.
sub is_harmless ($name) {
    my $found = $browser->js(<<~'END');
        const own = new Set(['A', 'BDI', 'SPAN']);
        return {
          pwned: window.pwned ?? null,
          elements: [...document.querySelectorAll('script, img, iframe, object, embed, base, form[action], style, b')].filter((e) => !/\/_ui\/(theme|app)\.js$/.test(e.src ?? '')).map((e) => e.outerHTML.slice(0, 200)),
          handlers: [...document.querySelectorAll('*')].flatMap((e) => [...e.attributes].filter((a) => /^on|^style$/.test(a.name) && !(a.name === 'style' && /^(--|top|left|height)/.test(a.value))).map((a) => `${e.tagName} ${a.name}=${a.value}`)),
          links: [...document.querySelectorAll('a[href]')].map((a) => a.href).filter((href) => !href.startsWith(location.origin + '/')),
          marks: [...document.body.innerText].filter((c) => /[\u202a-\u202e\u2066-\u2069\u200b-\u200f\ufeff\u0007\u001b]/.test(c)).length,
          titles: [...document.querySelectorAll('[title], [aria-label]')].filter((e) => /[\u202a-\u202e\u2066-\u2069]/.test(e.title + (e.getAttribute('aria-label') ?? ''))).length,
          wide: document.documentElement.scrollWidth > document.documentElement.clientWidth,
        };
        END
    return is_deeply($found, { pwned => undef, elements => [], handlers => [], links => [], marks => 0, titles => 0, wide => JSON::PP::false }, $name)
        || diag(explain($found));
}

for my $width (1280, 390) {
    subtest "at $width pixels" => sub {
        $browser->size($width, 900);
        $browser->go("$page/team/evil:v1");
        ok($browser->sees('.step .made', '<script>window.pwned=1</script>'), 'a step of the history is text');
        ok($browser->sees('.step .hidden-char', 'U+202E'), '... and a mark that turns text round is shown by its number');
        is_harmless('an image');
        $browser->go("$page/team/evil:v1/config");
        ok($browser->sees('dd', $evil[1]), 'labels');
        is_harmless('its configuration');
        $browser->click('summary', 'Manifest');
        is_harmless('... as JSON');
        $browser->go("$page/team/evil:v1/files/d/");
        ok($browser->sees('.row.file .name', '<script>window.pwned='), 'a name of a file');
        is_harmless('names of files');
        $browser->go("$page/team/evil:v1/files/$deep");
        ok($browser->sees('.code', 'deep'), 'a path of 3,600 bytes');
        is_harmless('... fits');
        $browser->go("$page/team/evil:v1/referrers");
        ok($browser->sees('.card', $evil[1]), 'a referrer');
        is_harmless('referrers');
        $browser->go("$page/team/evil:artifact");
        ok($browser->sees('details summary', $evil[0]), 'the content of an artifact');
        $browser->click('details summary', $evil[0]);
        ok($browser->sees('.preview .code', 'window.pwned'), '... opened');
        is_harmless('an artifact');
    };
}

subtest 'values of other types' => sub {
    my $odd   = { toString => 1, valueOf => 2 };
    my $other = encode_utf8(json_of({
        architecture => $odd, os => $odd, author => $odd, created => $odd, rootfs => { type => 'layers', diff_ids => [ $layer->{diff_id} ] },
        config => { Labels => { key => $odd }, Env => [ $odd, 'ALONE', 'A=b=c' ], Cmd => $odd, Entrypoint => [$odd], User => $odd, ExposedPorts => 'a port', Volumes => [$odd] },
    }));
    my $image = encode_utf8(json_of({
        schemaVersion => 2, mediaType => $Registry::Client::TYPE{manifest},
        config => $registry->descriptor('config', $other), layers => [ $registry->descriptor('layer_gzip', $layer->{blob}) ],
    }));
    my $part  = $registry->descriptor('manifest', $image);
    my $index = encode_utf8(json_of({ schemaVersion => 2, mediaType => $Registry::Client::TYPE{index},
        manifests => [ { %$part, platform => { os => $odd, architecture => [$odd] } }, { %$part, platform => 'linux' }, { %$part, platform => { os => 'linux', architecture => 'arm64' } } ] }));
    $registry->push_blob('team/evil', $other);
    is_status($registry->put_manifest('team/evil', 'types', $image), 201, 'objects where texts should be');
    is_status($registry->put_manifest('team/evil', 'types-index', $index), 201, '... in an index, too');
    for my $tag ('types', 'types-index') {
        $browser->go("$page/team/evil:$tag");
        ok($browser->sees('dd', '{"toString":1,"valueOf":2}/') || $tag ne 'types', "$tag: the platform of an image is shown");
        ok($browser->sees('.step .made'), '... and its layers');
        $browser->go("$page/team/evil:$tag/config");
        ok($browser->sees('dd', '{"toString":1,"valueOf":2}'), '... its configuration') or diag($browser->text('main'));
        is($browser->js('return [...document.querySelectorAll("dt")].find((e) => e.textContent === "ALONE")?.nextElementSibling?.textContent'), '', '... variables without a value');
        is($browser->js('return [...document.querySelectorAll("dt")].find((e) => e.textContent === "A")?.nextElementSibling?.textContent'), 'b=c', '... and with one');
        $browser->go("$page/team/evil:$tag/files/d/");
        ok($browser->sees('.row.file .name', 'bell'), '... and its files');
        is_harmless('... all as text');
    }
};

subtest 'each file opens' => sub {
    $browser->size(1280, 900);
    for my $name ((grep { !m{/} } @evil), "raw\x{fffd}\x{fffd}<b>") {
        $browser->go("$page/team/evil:v1/files/d/") if $name eq $evil[1];
        $browser->sees('.row.file .name', 'bell');
        my $shown = $name =~ s/([\x00-\x1f\x{200b}-\x{200f}\x{202a}-\x{202e}\x{2066}-\x{2069}\x{feff}\x{e0041}])/sprintf 'U+%04X', ord $1/ger;
        $browser->js('[...document.querySelectorAll(".row.file a.name")].find((a) => a.textContent.trim() === arguments[0].trim())?.focus()', $shown);
        is($browser->js('return document.activeElement.textContent.trim()'), $shown =~ s/^\s+|\s+$//gr, "a row: $shown") or next;
        $browser->press('Enter');
        my $content = $name =~ /^raw/ ? 'no UTF-8' : 'content of it';
        ok($browser->sees('.pane h2', $shown =~ s/^\s+|\s+$//gr) && $browser->sees('.pane .code', $content), '... and its content') or diag($browser->text('.pane'));
        my $address = $browser->url;
        $browser->reload;
        ok($browser->sees('.pane .code', $content), '... at its address, too') or diag($address);
    }
    is_harmless('after all of them');
};

subtest 'addresses' => sub {
    for my $path ('<script>window.pwned=1</script>', '%3Cscript%3Ewindow.pwned=1%3C/script%3E:v1', '?q=%3Cimg%20src=x%20onerror=window.pwned=1%3E', '_search?q=%3Cimg%20src=x%20onerror=window.pwned=1%3E',
        '_nothing', '_constructor', 'a:__proto__/files/', '_login?to=//example.com', "a:b/diff/%3Cb%3E%E2%80%AE") {
        $browser->go("$page/$path");
        ok($browser->sees('main .state, main h1'), substr $path, 0, 50);
        is_harmless('... is harmless');
    }
};

# Tokens and passwords would go there, if the policy of the page did not forbid it.
subtest 'an address that looks like another host' => sub {
    for my $begin ('/', '/example.invalid/..%2fui') {
        $browser->go('http://127.0.0.1:' . $registry->port . "/$begin/ui/");
        ok($browser->sees('main h1'), "/$begin/ui/");
        like($browser->url, qr{^http://127\.0\.0\.1:\d+/[^/]}, '... is left for one of this host');
    }
};

# A tag that isn't one gets no request at all, or a refusal, which is no complaint.
is_deeply([ $browser->complaints ], [], 'the console has no complaints');
finish();
