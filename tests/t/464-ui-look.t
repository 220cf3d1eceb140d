# Each screen of the web page on a phone, a laptop and a wide screen, light or dark: nothing is wider than the window, the
# console is empty, and axe-core finds nothing serious. UI_PICTURES names a directory for pictures of all of them, in both.
use v5.36;
use Registry limit => 240;
use Registry::Browser;
use Registry::Checks;
use Registry::Layers;
use Registry::Tools;
use Test::More;

BEGIN { need('chromium', 'chromedriver') }

my $tmp = tempdir();
# Debian's npm brings hundreds of packages along, so it is no failure in CI if it is not there.
my $axe = do {
    my $ran = find_program('npm') && run([ 'npm', 'install', '--prefix', $tmp, '--no-audit', '--no-fund', '--ignore-scripts', 'axe-core@4.10.2' ],
        cwd => $tmp, timeout => 60, env => { npm_config_cache => "$tmp/cache", npm_config_update_notifier => 'false' });
    my $file = "$tmp/node_modules/axe-core/axe.min.js";
    -e $file ? slurp($file) : undef;
};
diag('axe-core is not there: the screens are not checked by it') if !defined $axe;

my $registry = Registry->start(args => [ '--on-tag', 'echo of $2; seq 500; printf "%0900d" 1' ]);
my $dpkg = join '', map { "Package: $_\nStatus: install ok installed\nVersion: 1.$_-1\nArchitecture: amd64\nSource: src-$_\nMaintainer: x\nDescription: y\n\n" } map { "lib$_" } 'a' .. 'f';
my @base = ('d etc/', 'f etc/motd old', "f etc/passwd root:x:0:0\nann:x:1:1", 'd usr/', 'd usr/lib/', "f usr/lib/x.so a\0b", 'd var/', 'd var/lib/', 'd var/lib/dpkg/', "f var/lib/dpkg/status $dpkg");
for my $tag ('1.0', '1.9', '1.10') {
    push_layers($registry, 'team/app', $tag, gzip_layer(tar_of(@base, "f version $tag")), gzip_layer(tar_of("f etc/motd new $tag", 'l lib usr/lib', $tag eq '1.10' ? 'f var/lib/dpkg/status ' . $dpkg =~ s/Version: 1/Version: 2/gr : ())));
}
push_layers($registry, $_, 'v1', gzip_layer(tar_of('f a b'))) for 'team/web', 'hello', 'infra/ci/runner', 'library/' . join '-', ('long') x 30;
wait_for(20, sub { $registry->get('/v2/team/app/_image/1.10/tree')->status == 200 });

my $browser = Registry::Browser->start;
my $page    = 'http://127.0.0.1:' . $registry->port . '/ui';
my @screens = (
    [ repositories => '',                              '.row.repo' ],
    [ none         => '?q=nothing-is-like-this',       '.state' ],
    [ tags         => 'team/app',                      '.row.tag' ],
    [ image        => 'team/app:1.10',                 '.step' ],
    [ files        => 'team/app:1.10/files/etc/passwd', '.pane .code' ],
    [ config       => 'team/app:1.10/config',          'summary' ],
    [ packages     => 'team/app:1.10/packages',        '.row.package' ],
    [ referrers    => 'team/app:1.10/referrers',       '.state' ],
    [ hidden       => 'team/app:1.10/hidden/0',        '.row.file' ],
    [ history      => 'team/app:1.10/history',         '.move' ],
    [ diff         => 'team/app:1.10/diff/1.9?path=etc/motd', '.sides, .state' ],
    [ changes      => 'team/app:1.10/diff/1.9?view=packages', '.row.package-change' ],
    [ storage      => '_storage',                      '.card.number' ],
    [ hooks        => '_hooks',                        '.hook .badge.good' ],
    [ events       => '_events',                       '.state' ],
    [ search       => '_search?q=app',                 '.results li' ],
    [ find         => '_search?q=*.so',                '.results li a' ],
    [ me           => '_me',                           'form.bar' ],
    [ missing      => 'team/nothing',                  '.state' ],
);

# The theme changes no widths, so one of each is enough where no pictures are wanted. Each screen with axe-core on a phone in
# light, and in dark in one of the other widths by turns.
my @looks = $ENV{UI_PICTURES} ? map { my $width = $_; map { [ $width, $_ ] } 0, 1 } 390, 1280, 1920 : ([ 390, 0 ], [ 1280, 1 ], [ 1920, 1 ]);
my @deep  = map { { '390 0' => 1, "$_ 1" => 1 } } 1280, 1920;

for my $i (0 .. $#screens) {
    my ($name, $path, $selector) = @{ $screens[$i] };
    my %deep = %{ $deep[ $i % 2 ] };
    subtest $name => sub {
        $browser->size(1280, 900);
        $browser->go("$page/$path");
        ok($browser->sees($selector), 'it is there') or diag($browser->text('main'));
        $browser->js("$axe\nwindow.axe = window.axe ?? axe;") if defined $axe;
        for my $look (@looks) {
            my ($width, $dark) = @$look;
            my $what = "$width pixels, " . ($dark ? 'dark' : 'light');
            $browser->size($width, 900);
            $browser->dark($dark);
            my $wide = $browser->js('return new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(() => done([document.documentElement.scrollWidth, document.documentElement.clientWidth]))))');
            cmp_ok($wide->[0], '<=', $wide->[1], "it fits $what");
            $browser->picture("$ENV{UI_PICTURES}/$name-$width-" . ($dark ? 'dark' : 'light') . '.png') if $ENV{UI_PICTURES};
            next if !$deep{"$width $dark"} || !defined $axe;
            my $found = $browser->js(<<~'END');
                return axe.run(document, {resultTypes: ['violations']}).then((r) => r.violations.filter((v) => ['serious', 'critical'].includes(v.impact))
                  .map((v) => `${v.id}: ${v.nodes.slice(0, 3).map((n) => n.html.slice(0, 150) + ' ' + (n.any[0]?.message ?? '')).join(' | ')}`));
                END
            is_deeply($found, [], '... and axe-core finds nothing serious') or diag(explain($found));
        }
    };
}
$browser->size(390, 900);
$browser->go("$page/team/app:1.10/history");
ok($browser->sees('.move'), 'a screen whose tab is the last one');
my $beyond = q{const tab = document.querySelector('.tabs [aria-current]'); return tab.getBoundingClientRect().right - tab.parentNode.getBoundingClientRect().right};
ok(wait_for(10, sub { $browser->js($beyond) <= 1 }), '... which is in sight on a phone') or diag($browser->js($beyond));
is_deeply([ $browser->complaints ], [], 'the console has no complaints');
finish();
